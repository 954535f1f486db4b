// Tags put on images and taken off, with a way back. Files are never written.

import { post } from "./api.js";
import { say } from "./toast.js";

export async function edit(image, changes) {
  const answer = await post(`images/${encodeURIComponent(image)}/tags`, changes);
  return answer.edits.map((one) => one.number);
}

export async function undo(numbers) {
  // The last edit goes first: an edit may rest on the one before it.
  for (const number of [...numbers].reverse()) await post(`edits/${number}/undo`);
}

export function sayEdited(text, numbers, after) {
  if (!numbers.length) {
    say("Nothing to change: it is so already.");
    return;
  }
  say(text, {
    undo: async () => {
      await undo(numbers);
      await after();
    },
  });
}
