// SPDX-License-Identifier: Apache-2.0
// What holds wherever one is: the server does not answer; the session is about to end. An open dialog makes the page
// beneath unreachable, so it shows them too.
import { h } from "preact";
import { connection } from "../api.js";
import { session, stay } from "../session.js";
import { useStore } from "../store.js";
import { Button } from "./basic.js";

export function Banners() {
  const { isLost } = useStore(connection);
  const { isWarned } = useStore(session);
  return [
    isLost &&
      h(
        "div",
        { key: "lost", class: "banner", role: "status" },
        h("span", { class: "spinner" }),
        "The server is not responding. Trying again…",
      ),
    isWarned &&
      h(
        "div",
        { key: "idle", class: "banner", role: "alert" },
        "Your session is about to end because you have not used it.",
        h(Button, { onClick: () => void stay() }, "Stay signed in"),
      ),
  ];
}
