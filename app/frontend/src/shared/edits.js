// Edits of the texts of a page, for views of it that follow them.

const followers = (window.tracelakeEdits ??= new Set());

/** Say that an edit went to Python. */
export function tellEdited() {
  // Streamlit takes what is told in one turn for news of one part of the page, and draws that alone
  setTimeout(() => followers.forEach((follower) => follower()));
}

/** Whether any view waits for edits. */
export function isFollowed() {
  return followers.size > 0;
}

/** Call back after each edit; returns the undo. */
export function followEdits(edited) {
  followers.add(edited);
  return () => followers.delete(edited);
}
