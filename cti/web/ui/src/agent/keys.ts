// One key, one act. Keys are ignored while something is being written, in an open dialog, and when a modifier is held.
import { choices } from "./choices.svelte";
import type { Desk } from "./desk.svelte";

function writing(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches("input:not([type=radio]):not([type=checkbox]), textarea, select"))
  );
}

/** Whether Enter belongs to the focused control: one of a panel or an open list. The header's own (where "Ready" was
 * clicked a moment ago) must not swallow the key that answers. */
function onControl(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("main button, main a, footer button, #reasons button") !== null;
}

export function handleKey(event: KeyboardEvent, desk: Desk): void {
  // While writing it belongs to what is written: the note of the call, but not a form of the customer's card.
  const own = !writing(event.target) || (event.target as HTMLElement).id === "note";
  if (event.ctrlKey && event.key === "Enter" && own && desk.step === "wrap_up" && desk.acts.dialog === null) {
    event.preventDefault();
    void desk.done();
    return;
  }
  if (event.defaultPrevented || desk.acts.dialog !== null || !choices.singleKeys) return;
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.isComposing || writing(event.target)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (act(key, event, desk) || anywhere(key, desk)) event.preventDefault();
}

function act(key: string, event: KeyboardEvent, desk: Desk): boolean {
  switch (desk.step) {
    case "incoming":
      if (key === "a" || (key === "Enter" && !onControl(event.target))) desk.answer();
      else if (key === "r") void desk.reject();
      else return false;
      return true;
    case "talking":
      if (desk.keypadOpen && /^[0-9*#]$/.test(key)) desk.acts.press(key);
      else if (desk.acts.consult && consult(key, desk)) return true;
      else if (key === "h") {
        if (!desk.acts.consult && !desk.calling && !desk.returning) desk.hold();
      } else if (key === "m") desk.mute();
      else if (key === "e") void desk.hangUp();
      else if (key === "k") desk.toggleKeypad();
      else if (key === "t") {
        if (desk.acts.canTransfer) desk.acts.open("transfer");
      } else if (key === "Escape" && desk.keypadOpen) desk.keypadOpen = false;
      else return pick(key, desk);
      return true;
    case "wrap_up":
      if (key === "d" || (key === "Enter" && !onControl(event.target))) void desk.done();
      else if (key === "+") void desk.moreTime();
      else return pick(key, desk);
      return true;
    default:
      return false;
  }
}

function consult(key: string, desk: Desk): boolean {
  const what = ({ c: "complete", s: "swap", j: "join", x: "cancel" } as const)[key];
  if (what === undefined) return false;
  if (!desk.acts.asking) return false;
  const state = desk.acts.consulted?.state;
  if (what === "cancel" || state === "talking" || state === "held") void desk.acts.consultDo(what);
  return true;
}

function anywhere(key: string, desk: Desk): boolean {
  if (key === "y") void desk.becomeReady();
  else if (key === "b") desk.reasonsOpen = true;
  else if (key === "n" || key === "/") desk.acts.dialFocus += 1;
  else if (key === "w") desk.acts.open("waiting");
  else if (key === ",") desk.acts.open("sound");
  else if (key === "?") desk.acts.open("keys");
  else return false;
  return true;
}

function pick(key: string, desk: Desk): boolean {
  if (key === "0" && desk.opened.length > 0) {
    desk.closeGroup();
    return true;
  }
  const disposition = /^[1-9]$/.test(key) ? desk.dispositions[Number(key) - 1] : undefined;
  if (disposition === undefined) return false;
  desk.chooseDisposition(disposition);
  return true;
}
