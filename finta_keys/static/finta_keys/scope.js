// The accounts of a scope: search, select all or none, and preview what Save will change.
// Loaded when the first form with accounts is shown.
"use strict";
((keys) => {
  const { gettext, ngettext, interpolate, make } = keys;
  const MAX_NAMES = 6;
  const MARK = "\u0001"; // around the bold parts of a sentence
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
    change.replaceChildren(...describeChange(scope.querySelector("[role=switch]"), boxes, others, scope.dataset));
  }

  const bold = (text) => MARK + text + MARK;

  function withBold(text) {
    return text.split(MARK).map((part, number) => (number % 2 ? make("strong", {}, part) : part));
  }

  // One sentence about the key that Create Key will create.
  function updateSummary(form, scope, { selected, total }) {
    const summary = form.querySelector("[data-summary]");
    if (!summary) return;
    const { accountWords, accountWord } = scope.dataset;
    const entered = form.elements.name.value.trim();
    const name = entered ? bold(isolate(entered)) : gettext("The key");
    const values = { number: selected, total, account_words: total === 1 ? accountWord : accountWords };
    const sharesAll = scope.querySelector("[role=switch]").checked;
    if (!sharesAll && !selected) {
      const sentence = gettext("%(name)s can access no %(account_words)s, so it cannot be created.");
      return summary.replaceChildren(...withBold(interpolate(sentence, { name, account_words: accountWords })));
    }
    const accounts = sharesAll
      ? interpolate(gettext("all %(account_words)s"), { account_words: accountWords })
      : interpolate(gettext("%(number)s of %(total)s %(account_words)s"), values);
    const isReadOnly = form.elements.permission?.value === "read_only";
    const sentence = interpolate(isReadOnly ? summary.dataset.readOnly : summary.dataset.readWrite, { name, accounts: bold(accounts) });
    const day = form.elements.expires_at?.value === "date" && form.elements.expires_on.valueAsDate;
    const days = Number(form.elements.expires_at?.value);
    const expires = day ? interpolate(gettext("until %(day)s"), { day: bold(dayFormat().format(day)) })
      : days ? interpolate(gettext("for %(days)s days"), { days: bold(days) }) : "";
    return summary.replaceChildren(...withBold(`${sentence}${expires && ` ${expires}`}. ${summary.dataset.once}`));
  }

  function dayFormat() {
    return new Intl.DateTimeFormat(document.documentElement.lang || "en", { dateStyle: "medium", timeZone: "UTC" });
  }

  function describeChange(shareAll, boxes, others, { accountWords }) {
    const wasOn = (box) => "accessible" in box.closest("label").dataset;
    const isOn = (box) => shareAll.checked || box.checked;
    const addedElsewhere = shareAll.checked ? others.total - others.accessible : others.added;
    const removedElsewhere = shareAll.checked ? 0 : others.removed;
    const added = list("finta-adds", gettext("Adds %(number)s: %(names)s."), boxes.filter((box) => isOn(box) && !wasOn(box)), addedElsewhere);
    const removed = list("finta-removes", gettext("Removes %(number)s: %(names)s."), boxes.filter((box) => !isOn(box) && wasOn(box)), removedElsewhere);
    const future = shareAll.checked
      ? gettext("Includes %(account_words)s you add later.")
      : gettext("Excludes %(account_words)s you add later.");
    const isSame = shareAll.checked === wasOn(shareAll);
    const sentences = [added, removed, isSame ? [] : [interpolate(future, { account_words: accountWords })]];
    const changes = sentences.filter((parts) => parts.length).flatMap((parts, number) => (number ? [" ", ...parts] : parts));
    return changes.length ? changes : [gettext("No changes yet.")];
  }

  // The beginning of the sentence, such as "Adds 2:", is bold.
  function list(type, sentence, boxes, elsewhere) {
    const names = boxes.slice(0, MAX_NAMES).map(nameOf);
    const number = boxes.length + elsewhere;
    const rest = number - names.length;
    if (!names.length) names.push(interpolate(gettext("%(number)s on other pages"), { number: rest }));
    else if (rest) names.push(interpolate(ngettext("and %(number)s more", "and %(number)s more", rest), { number: rest }));
    const [start, end] = interpolate(sentence, { number, names: MARK }).split(MARK);
    return number ? [make("strong", { class: type }, start.trim()), ` ${names.join(", ")}${end}`] : [];
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

  // All or None: affects the accounts that the search shows, of one group or of all.
  function checkGroup(button) {
    for (const box of button.closest("fieldset, .finta-choice").querySelectorAll("label:not([hidden]) > input")) {
      box.checked = button.dataset.check === "all";
    }
    button.dispatchEvent(new Event("input", { bubbles: true }));
  }

  Object.assign(keys, { updateScope, filterAccounts, checkGroup });
  for (const scope of keys.findAll("[data-scope]")) updateScope(scope);
})(window.fintaKeys);
