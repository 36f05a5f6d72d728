// SPDX-License-Identifier: Apache-2.0

import type { Refused } from "./api";
import { token } from "./api";
import { byId, h, mark, say } from "./dom";
import { time } from "./format";

/** Trouble is what stands above the pools when they can't be shown, or not as they are now. */
export class Trouble {
  private box = byId("trouble");
  private status = byId("status");
  private next = h("span", { "aria-hidden": "true" });
  private kind = "";

  /** state is read out when it changes, and not each second. */
  private state(kind: string, text: string): void {
    mark(this.status, "data-state", kind);
    say(this.status, text);
  }

  private open(kind: string, make: () => Node[]): void {
    if (this.kind !== kind) this.box.replaceChildren(...make());
    this.kind = kind;
    this.box.hidden = false;
    byId("content").classList.toggle("stale", kind === "gone");
  }

  none(): void {
    this.state("live", "Live");
    this.kind = "";
    this.box.hidden = true;
    this.box.replaceChildren();
    byId("content").classList.remove("stale");
  }

  /** gone: the operator doesn't answer. What was shown stays, greyed. */
  gone(since: Date | undefined, why: string, seconds: number, now: () => void): void {
    const text = since ? `The operator hasn't answered since ${time(since)}: what is shown is from then.` : "The operator doesn't answer.";
    this.state("gone", text);
    this.open("gone", () => {
      const again = h("button", { type: "button" }, "Try now");
      again.addEventListener("click", now);
      return [h("p", {}, text, " ", h("small", { class: "why" }, why)), h("p", {}, again, " ", this.next)];
    });
    say(this.next, seconds > 0 ? `next try in ${seconds} s` : "trying…");
  }

  /** refused asks for a token, or for a namespace that may be seen. */
  refused(why: Refused, namespace: string, enter: (token: string, namespace: string) => void): void {
    const title = why.status === 401 ? "A token is needed" : why.status === 403 ? "This isn't allowed" : "The operator refused the request";
    this.state("refused", `${title}.`);
    this.open(`refused ${why.status} ${why.message}`, () => {
      const secret = h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false" });
      const where = h("input", { id: "where", type: "text", autocomplete: "off", spellcheck: "false", "aria-describedby": "where-hint" });
      secret.value = token.get();
      where.value = namespace;
      const form = h("form", { class: "token", "aria-labelledby": "token-title" },
        h("h2", { id: "token-title" }, title),
        h("p", { role: "alert" }, why.status === 401 && !token.get() ? "The operator shows pools to those who may list them in the cluster." : why.message),
        h("label", { for: "token" }, "Token"), secret,
        h("label", { for: "where" }, "Namespace"), where,
        h("small", { id: "where-hint" }, "empty: all, which needs the right to list pools in all of them"),
        h("button", { type: "submit" }, "Show the pools"),
        h("p", {}, "A token of a ServiceAccount that may list pools, as the role ", h("code", {}, "view"), " allows:"),
        h("pre", {}, h("code", {}, "kubectl create serviceaccount hsj-viewer\nkubectl create rolebinding hsj-viewer --clusterrole=view --serviceaccount=NAMESPACE:hsj-viewer\nkubectl create token hsj-viewer")),
        h("p", {}, "Without a token, with the rights of your kubeconfig: ", h("code", {}, "kubectl hsj ui"), "."),
        h("p", {}, h("small", {}, "The token is kept in this tab until it is closed, and sent to the operator alone.")));
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        enter(secret.value.trim(), where.value.trim());
      });
      return [form];
    });
  }
}
