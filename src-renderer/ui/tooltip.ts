/**
 * Tooltips: `<button {@attach tooltip('Suspend', 'Mod+Shift+U')}>`. One element at a time, shown after a rest of the pointer or at
 * once on keyboard focus, gone on press, scroll, Escape and leave.
 */
import type { Attachment } from 'svelte/attachments'
import { shortcutText } from './shortcut.ts'

/** How long the pointer rests before a tooltip shows, ms; none when one was just shown. */
const DELAY = 500
const GRACE = 300
const GAP = 6
const MARGIN = 8

let shown: HTMLElement | null = null
let lastShown = 0

function hide(): void {
  if (!shown) return
  shown.remove()
  shown = null
  lastShown = Date.now()
}

function show(target: HTMLElement, text: string, shortcut: string | undefined): void {
  hide()
  const tip = document.createElement('div')
  tip.className = 'tooltip'
  tip.setAttribute('role', 'tooltip')
  tip.append(text)
  if (shortcut !== undefined) {
    const key = document.createElement('kbd')
    key.textContent = shortcutText(shortcut)
    tip.append(key)
  }
  document.body.append(tip)
  const at = target.getBoundingClientRect()
  const size = tip.getBoundingClientRect()
  const below = at.bottom + GAP + size.height <= window.innerHeight - MARGIN
  tip.style.top = `${below ? at.bottom + GAP : at.top - GAP - size.height}px`
  tip.style.left = `${Math.max(MARGIN, Math.min(at.left + at.width / 2 - size.width / 2, window.innerWidth - size.width - MARGIN))}px`
  shown = tip
}

/** @param text null: no tooltip @param onlyWhenCut show it only when the element's own text is cut off */
export function tooltip(text: string | null | undefined, shortcut?: string, onlyWhenCut = false): Attachment<HTMLElement> {
  return (target) => {
    if (text === null || text === undefined || text === '') return
    let timer: ReturnType<typeof setTimeout> | undefined
    const wanted = (): boolean => !onlyWhenCut || target.scrollWidth > target.clientWidth
    const leave = (): void => {
      clearTimeout(timer)
      hide()
    }
    const enter = (event: PointerEvent): void => {
      if (event.pointerType === 'touch' || !wanted()) return
      clearTimeout(timer)
      timer = setTimeout(() => show(target, text, shortcut), Date.now() - lastShown < GRACE ? 0 : DELAY)
    }
    const focus = (): void => {
      if (target.matches(':focus-visible') && wanted()) show(target, text, shortcut)
    }
    const key = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') leave()
    }
    target.addEventListener('pointerenter', enter)
    target.addEventListener('pointerleave', leave)
    target.addEventListener('pointerdown', leave)
    target.addEventListener('focus', focus)
    target.addEventListener('blur', leave)
    target.addEventListener('keydown', key)
    document.addEventListener('scroll', leave, { capture: true, passive: true })
    return () => {
      leave()
      target.removeEventListener('pointerenter', enter)
      target.removeEventListener('pointerleave', leave)
      target.removeEventListener('pointerdown', leave)
      target.removeEventListener('focus', focus)
      target.removeEventListener('blur', leave)
      target.removeEventListener('keydown', key)
      document.removeEventListener('scroll', leave, { capture: true })
    }
  }
}
