// The accounts of a scope: search, select all or none, and preview what Save will change.
// Loaded when the first form with accounts is shown.
"use strict";
((keys) => {
  const { gettext, ngettext, interpolate } = keys;
  const MAX_NAMES = 6;
  const textOf = (element) => element.textContent.trim().replace(/\s+/g, " ");
  const fold = (text) => text.normalize("NFKC").toLowerCase();

  function updateScope(scope) {
    const boxes = [...scope.querySelectorAll("fieldset input")];
    const count = scope.querySelector("[data-count]");
    const others = JSON.parse(scope.dataset.others); // numbers of the accounts on other pages
    const selected = boxes.filter((box) => box.checked).length + others.selected;
    const numbers = { selected, total: boxes.length + others.total };
    if (count) count.textContent = interpolate(gettext("%(selected)s of %(total)s selected"), numbers);
    const form = scope.closest("form");
    updateSummary(form, scope, numbers);
    const change = form.querySelector("[data-change]");
    if (!change) return;
    change.className = "finta-summary";
    change.textContent = describeChange(scope.querySelector("[role=switch]"), boxes, others, scope.dataset);
  }

  // One sentence about the key that Create Key will create.
  function updateSummary(form, scope, { selected, total }) {
    const summary = form.querySelector("[data-summary]");
    if (!summary) return;
    const { accountWords, accountWord } = scope.dataset;
    const name = form.elements.name.value.trim() ? isolate(form.elements.name.value.trim()) : gettext("The key");
    const values = { number: selected, total, account_words: total === 1 ? accountWord : accountWords };
    const accounts = scope.querySelector("[role=switch]").checked
      ? interpolate(gettext("all %(account_words)s, including future ones"), { account_words: accountWords })
      : interpolate(gettext("%(number)s of %(total)s %(account_words)s"), values);
    const isReadOnly = form.elements.permission?.value === "read_only";
    const sentence = interpolate(isReadOnly ? summary.dataset.readOnly : summary.dataset.readWrite, { name, accounts });
    const day = form.elements.expires_at?.value === "date" && form.elements.expires_on.valueAsDate;
    const days = Number(form.elements.expires_at?.value);
    const expires = day ? interpolate(gettext("until %(day)s"), { day: new Intl.DateTimeFormat(document.documentElement.lang || "en", { dateStyle: "medium", timeZone: "UTC" }).format(day) })
      : days ? interpolate(gettext("for %(days)s days"), { days }) : "";
    summary.textContent = `${sentence}${expires && ` ${expires}`}. ${summary.dataset.once}`;
  }

  function describeChange(shareAll, boxes, others, { accountWords }) {
    const wasOn = (box) => "accessible" in box.closest("label").dataset;
    const isOn = (box) => shareAll.checked || box.checked;
    const gainedElsewhere = shareAll.checked ? others.total - others.accessible : others.gained;
    const lostElsewhere = shareAll.checked ? 0 : others.lost;
    const gained = list(gettext("Gains %(number)s: %(names)s."), boxes.filter((box) => isOn(box) && !wasOn(box)), gainedElsewhere);
    const lost = list(gettext("Loses %(number)s: %(names)s."), boxes.filter((box) => !isOn(box) && wasOn(box)), lostElsewhere);
    const future = shareAll.checked
      ? gettext("Includes %(account_words)s you add later.")
      : gettext("Excludes %(account_words)s you add later.");
    const isSame = shareAll.checked === wasOn(shareAll);
    const sentences = [gained, lost, isSame ? "" : interpolate(future, { account_words: accountWords })];
    return sentences.filter(Boolean).join(" ") || gettext("No changes yet.");
  }

  function list(sentence, boxes, elsewhere) {
    const names = boxes.slice(0, MAX_NAMES).map(nameOf);
    const number = boxes.length + elsewhere;
    const rest = number - names.length;
    if (!names.length) names.push(interpolate(gettext("%(number)s on other pages"), { number: rest }));
    else if (rest) names.push(interpolate(ngettext("and %(number)s more", "and %(number)s more", rest), { number: rest }));
    return number ? interpolate(sentence, { number, names: names.join(", ") }) : "";
  }

  // A name must not change the order of the text around it.
  function isolate(name) {
    return `\u2068${name.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "")}\u2069`;
  }

  // Include the group's name if there are several groups.
  function nameOf(box) {
    const group = box.closest("fieldset");
    const isOnlyGroup = group.parentElement.childElementCount === 1;
    return (isOnlyGroup ? "" : `${isolate(textOf(group.querySelector("legend")))} `) + isolate(textOf(box.closest("label")));
  }

  // Hide the accounts that do not match the search field.
  function filterAccounts(input) {
    const words = fold(input.value).split(/\s+/);
    const scope = input.closest("[data-scope]");
    let matches = 0;
    for (const group of scope.querySelectorAll("fieldset")) {
      const groupName = textOf(group.querySelector("legend"));
      let matchesInGroup = 0;
      for (const label of group.querySelectorAll("label")) {
        const text = fold(`${groupName} ${textOf(label)}`);
        const isMatch = words.every((word) => text.includes(word));
        label.hidden = !isMatch;
        matchesInGroup += isMatch;
      }
      group.hidden = !matchesInGroup;
      matches += matchesInGroup;
    }
    const none = interpolate(gettext("No %(account_word)s has this name."), { account_word: scope.dataset.accountWord });
    input.parentElement.querySelector("[data-none]").textContent = matches ? "" : none;
  }

  // All or None: affects the accounts of the group that the search shows.
  function checkGroup(button) {
    for (const box of button.closest("fieldset").querySelectorAll("label:not([hidden]) input")) {
      box.checked = button.dataset.check === "all";
    }
    button.dispatchEvent(new Event("input", { bubbles: true }));
  }

  Object.assign(keys, { updateScope, filterAccounts, checkGroup });
  for (const scope of keys.findAll("[data-scope]")) updateScope(scope);
})(window.fintaKeys);
