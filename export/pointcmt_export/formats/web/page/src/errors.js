/** What is wrong with a file or the browser, in one sentence for the person who meets it. */
export class InputError extends Error {}

/** The error for a file that holds less than it announces. */
export function truncated(found, announced, what) {
  return new InputError(
    `${found} ${what}, but the header announces ${announced}; the file is truncated`,
  );
}
