/** Fields of the page that one writes in. */

export class Field {
  readonly #element: HTMLElement;
  readonly #range: Range | undefined;
  readonly #from: number = 0;
  readonly #to: number = 0;
  readonly #text: string;

  private constructor(element: HTMLElement) {
    this.#element = element;
    if (isInput(element)) {
      const { value } = element;
      const start = element.selectionStart ?? 0;
      const end = element.selectionEnd ?? value.length;
      // Without a selection it is all of the field.
      [this.#from, this.#to] = start === end ? [0, value.length] : [start, end];
      this.#text = value.slice(this.#from, this.#to);
    } else {
      const selection = getSelection();
      let range = selection && selection.rangeCount > 0 ? selection.getRangeAt(0) : undefined;
      if (!range || range.collapsed || !element.contains(range.commonAncestorContainer)) {
        range = document.createRange();
        range.selectNodeContents(element);
      }
      this.#range = range.cloneRange();
      this.#text = range.toString();
    }
  }

  static #last: WeakRef<HTMLElement> | undefined;

  /** Remembers which field had the focus, for when the popup takes it, and tells of each that the user goes to, and leaves. */
  static watch(entered: (field: HTMLElement) => void, left: () => void): void {
    const enter = (target: EventTarget | null) => {
      if (!(target instanceof HTMLElement) || !isField(target)) return;
      const host = editingHost(target);
      Field.#last = new WeakRef(host);
      entered(host);
    };
    document.addEventListener("focusin", ({ isTrusted, target }) => isTrusted && enter(target), true);
    document.addEventListener("focusout", ({ isTrusted }) => isTrusted && left(), true);
    enter(document.activeElement);
  }

  /** The field that has the focus. */
  static focused(): Field | undefined {
    let element = document.activeElement;
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return element instanceof HTMLElement && isField(element) ? new Field(editingHost(element)) : undefined;
  }

  /** The field that last had the focus. */
  static last(): Field | undefined {
    const element = Field.#last?.deref();
    return element?.isConnected ? new Field(editingHost(element)) : undefined;
  }

  /** What is selected in it, or all of it. */
  text(): string {
    return this.#text;
  }

  focus(): void {
    this.#element.focus();
  }

  /** Puts a text in the place of what was selected. Says whether it is there. */
  insert(text: string): boolean {
    const element = this.#element;
    if (!element.isConnected) return false;
    element.focus();
    if (isInput(element)) {
      if (element.readOnly || element.disabled) return false;
      element.setSelectionRange(this.#from, this.#to);
    } else {
      const selection = getSelection();
      selection?.removeAllRanges();
      if (this.#range) selection?.addRange(this.#range);
    }
    // As if it had been typed, so that the page hears of it and it can be undone.
    if (!document.execCommand("insertText", false, text) && isInput(element)) {
      element.setRangeText(text, this.#from, this.#to, "end");
      element.dispatchEvent(new InputEvent("input", { bubbles: true, inputType: "insertText", data: text }));
    }
    return (isInput(element) ? element.value : (element.textContent ?? "")).replace(/\s/g, "").includes(text);
  }
}

function isInput(element: Element): element is HTMLInputElement | HTMLTextAreaElement {
  return element instanceof HTMLTextAreaElement || (element instanceof HTMLInputElement && ["text", "search"].includes(element.type));
}

function isField(element: HTMLElement): boolean {
  return isInput(element) || element.isContentEditable;
}

/** The element that as a whole is written in. */
function editingHost(element: HTMLElement): HTMLElement {
  let host = element;
  while (!isInput(host) && host.parentElement?.isContentEditable) host = host.parentElement;
  return host;
}
