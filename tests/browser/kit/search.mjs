// Looks for texts in files, in every form in which a careless program might
// have left them there.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Base64 of bytes somewhere within other bytes: the digits that depend on them alone, for each of the three places a group can begin. */
function base64Within(bytes) {
  return [0, 1, 2].map((offset) => {
    const digits = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64").replace(/=+$/, "");
    const from = Math.ceil((offset * 8) / 6);
    return digits.slice(from, Math.floor(((offset + bytes.length) * 8) / 6));
  });
}

/** The forms of a text, by name. */
export function formsOf(text) {
  const bytes = Buffer.from(text, "utf8");
  const forms = { raw: bytes, "utf-16le": Buffer.from(text, "utf16le"), "utf-16be": Buffer.from(text, "utf16le").swap16() };
  forms.hex = Buffer.from(bytes.toString("hex"));
  forms.HEX = Buffer.from(bytes.toString("hex").toUpperCase());
  base64Within(bytes).forEach((digits, offset) => {
    forms[`base64+${offset}`] = Buffer.from(digits);
    forms[`base64url+${offset}`] = Buffer.from(digits.replaceAll("+", "-").replaceAll("/", "_"));
  });
  return forms;
}

/** All files below a folder. */
export function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** Where texts are in the files of a folder: "file: form of text". */
export function search(folder, texts) {
  const found = [];
  for (const file of filesIn(folder)) {
    const content = readFileSync(file);
    for (const text of texts) {
      for (const [form, needle] of Object.entries(formsOf(text))) if (content.includes(needle)) found.push(`${file}: ${form} of ${text}`);
    }
  }
  return found;
}
