// SPDX-License-Identifier: Apache-2.0
// What a change will end, said before it is made.
import { h } from "preact";
import { useEffect, useState } from "preact/hooks";
import { count, plural } from "../format.js";
import { asApiError, useWork } from "../load.js";
import { Button, ErrorNotice, Notice } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
/** @typedef {import("../types.js").Impact} Impact */
/** @typedef {import("preact").ComponentChildren} Children */

/** @param {Impact | undefined} impact */
export const tokensEnded = (impact) => Number(impact?.tokensEnded ?? 0);

/** @param {{ impact?: Impact, also?: Children }} props */
export function ImpactNotice({ impact, also }) {
  if (!impact) return h("p", { class: "hint", role: "status" }, "Looking up what this ends…");
  const tokens = tokensEnded(impact);
  const credentials = Number(impact.credentialsAffected ?? 0);
  const usage = (impact.recentUsage ?? []).slice(0, 5);
  return h(
    Notice,
    { kind: tokens > 0 ? "warn" : "info" },
    h(
      "p",
      { role: "status", class: "impact" },
      tokens > 0
        ? [
            "This ends ",
            h("strong", null, plural(tokens, "live session")),
            credentials > 1 && ` of ${plural(credentials, "credential")}`,
            " at once.",
          ]
        : "No live session ends.",
      also && [" ", also],
    ),
    tokens > 0 &&
      usage.length > 0 &&
      h(
        "p",
        null,
        "Called in the last 30 days: ",
        usage.map((row, index) => [
          index > 0 && ", ",
          h("code", null, row.api ?? "(no API named)"),
          ` (${count(row.allowed)})`,
        ]),
        ".",
      ),
  );
}

/**
 * Asks the API what would be done, as often as `key` changes.
 * @param {string} key
 * @param {() => Promise<{ impact?: Impact }>} ask with validateOnly
 */
export function useImpact(key, ask) {
  const [state, setState] = useState(/** @type {{ impact?: Impact, error?: Error }} */ ({}));
  useEffect(() => {
    let isCurrent = true;
    setState({});
    ask().then(
      ({ impact }) => isCurrent && setState({ impact: impact ?? {} }),
      (error) => isCurrent && setState({ error: asApiError(error) }),
    );
    return () => void (isCurrent = false);
  }, [key]);
  return state;
}

/**
 * "Are you sure?", with what it means.
 * @param {{ title: string, action: string, isDanger?: boolean, preview?: () => Promise<{ impact?: Impact }>, also?: Children,
 *   onDo: () => Promise<void>, onClose: () => void, children?: Children }} props
 */
export function ConfirmDialog({ title, action, isDanger = true, preview, also, onDo, onClose, children }) {
  const { isBusy, error, run } = useWork();
  return h(
    Dialog,
    {
      title,
      onClose,
      onSubmit: () =>
        run(async () => {
          await onDo();
          onClose();
        }),
      footer: [
        h(Button, { onClick: onClose }, "Cancel"),
        h(Button, { kind: isDanger ? "danger" : "primary", type: "submit", isBusy }, action),
      ],
    },
    h(ErrorNotice, { error }),
    children,
    preview && h(Preview, { preview, also }),
  );
}

/** @param {{ preview: () => Promise<{ impact?: Impact }>, also?: Children }} props */
function Preview({ preview, also }) {
  const { impact, error } = useImpact("", preview);
  return error ? h(ErrorNotice, { error }) : h(ImpactNotice, { impact, also });
}
