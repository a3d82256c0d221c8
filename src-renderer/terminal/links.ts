/** Addresses in a terminal's output. The output is the guest's, so an address is never more than text to be looked at. */

/** The address to open; null for everything but http and https. */
export function openableLink(text: string): string | null {
  try {
    const url = new URL(text)
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null
  } catch {
    return null
  }
}

/** Opens it after a click with Ctrl or Command held, in a window that knows nothing of this one. */
export function followLink(event: MouseEvent, text: string): void {
  const address = openableLink(text)
  if (address !== null && (event.ctrlKey || event.metaKey)) window.open(address, '_blank', 'noopener,noreferrer')
}
