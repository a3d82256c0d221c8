/** Makes the page believe that nobody can see it, or that somebody can. Set it back at the test's end. */
export function setVisibility(value: DocumentVisibilityState): void {
  Object.defineProperty(document, 'visibilityState', { value, configurable: true })
  document.dispatchEvent(new Event('visibilitychange'))
}
