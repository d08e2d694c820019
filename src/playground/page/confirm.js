// A question before something is done.

import { freshId, h } from "./dom.js";
import { plainText, textObject } from "./mrkdwn.js";

/** Asks with Slack's confirmation dialog object, and gives whether the person is sure. */
export function confirmed({ title, text, confirm, deny, style }) {
  const id = freshId("confirm");
  const danger = style === "danger" ? " danger" : "";
  const dialog = h(
    "dialog",
    { className: "modal small", "aria-labelledby": id },
    h(
      "form",
      { method: "dialog", className: "modal-form" },
      h("header", {}, h("h2", { id, dir: "auto" }, plainText(title))),
      h("div", { className: "modal-body", dir: "auto" }, h("p", {}, textObject(text))),
      h(
        "footer",
        {},
        h("button", { className: "quiet", value: "" }, deny ? plainText(deny) : "Cancel"),
        h("button", { className: `strong${danger}`, value: "yes" }, confirm ? plainText(confirm) : "OK"),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}
