// SPDX-License-Identifier: Apache-2.0
import { h } from "preact";
import { useLoad } from "../load.js";
import { Card, Heading } from "../parts/basic.js";
import { SelectField } from "../parts/field.js";
import { UsagePanel } from "../parts/usage.js";
import { place, refine } from "../router.js";
import { useStore } from "../store.js";
import { Search } from "./credentials.js";

export function UsageScreen() {
  const { query } = useStore(place);
  const { data } = useLoad(
    "v1/credentials?pageSize=1000",
    (answer) => /** @type {import("../types.js").Credential[]} */ (answer.credentials ?? []),
  );
  return h(
    "div",
    { class: "screen" },
    h(Heading, { title: "Usage", lead: "Which third party calls which API, how often, and when it last did." }),
    h(
      "div",
      { class: "filters", role: "search" },
      h(Search, {
        label: "API",
        placeholder: "Part of an API's name",
        value: query.q ?? "",
        onChange: (q) => refine({ q }),
      }),
      h(SelectField, {
        label: "Credential",
        isHiddenLabel: true,
        value: query.credential ?? "",
        onChange: (credential) => refine({ credential }),
        options: [
          ["", "All credentials"],
          ...(data ?? []).map((one) => /** @type {[string, string]} */ ([one.clientId, one.name])),
        ],
      }),
    ),
    h(
      Card,
      { title: "Calls" },
      h(UsagePanel, { key: query.credential, clientId: query.credential, contains: query.q }),
    ),
  );
}
