// Requests to the server, and whose pages it returns.
"use strict";
((keys) => {
  const { MAIN } = keys;

  // Return undefined if there is no response, or an error page that is not ours, such as a proxy's.
  async function request(url, body) {
    const options = body ? { method: "POST", body } : {};
    try {
      const response = await fetch(url, { credentials: "same-origin", cache: "no-store", ...options });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (!response.ok && !page.querySelector(`${MAIN} .finta-panel`)) return undefined;
      return { page, url: new URL(response.url), redirected: response.redirected, ok: response.ok };
    } catch (error) {
      if (error instanceof TypeError) return undefined;
      throw error;
    }
  }

  function userOf(page) {
    return page.querySelector(MAIN)?.dataset.fintaKeysUser;
  }

  // Return true if another user has signed in, in another tab.
  function isForAnotherUser(page) {
    const user = userOf(page);
    return Boolean(user) && user !== userOf(document);
  }

  function currentAddress() {
    return location.pathname + location.search;
  }

  Object.assign(keys, { request, userOf, isForAnotherUser, currentAddress });
})(window.fintaKeys);
