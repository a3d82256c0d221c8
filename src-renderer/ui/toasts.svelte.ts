/** Short notices at the corner. `toast({ text, action })` from anywhere; ToastHost, mounted once, shows them. */
import { asAppError } from '../../src-shared/errors/app-error.ts'

export interface ToastAction {
  label: string
  run: () => void
}
export interface Toast {
  id: number
  tone: 'info' | 'ok' | 'danger'
  text: string
  action: ToastAction | null
  /** ms until it goes by itself; null: it stays until it is closed. */
  life: number | null
}

const LIFE = 5000
/** With something to click, people need longer. */
const LIFE_WITH_ACTION = 10_000
const MAX_SHOWN = 4

class Toasts {
  list = $state.raw<Toast[]>([])
  #nextId = 1

  add(toast: Omit<Toast, 'id'>): () => void {
    const id = this.#nextId++
    this.list = [...this.list, { ...toast, id }].slice(-MAX_SHOWN)
    return () => this.remove(id)
  }

  remove(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id)
  }
}

export const toasts = new Toasts()

/** @returns takes it away again */
export function toast(options: { text: string; tone?: 'info' | 'ok'; action?: ToastAction }): () => void {
  const action = options.action ?? null
  return toasts.add({ tone: options.tone ?? 'info', text: options.text, action, life: action ? LIFE_WITH_ACTION : LIFE })
}

/** Says what failed; stays until it is closed. A cancelled operation is no failure. */
export function toastError(error: unknown, doing?: string): void {
  const known = asAppError(error, doing)
  if (known.code === 'cancelled') return
  // Who asked for something, and who watches the machine, may both tell it.
  if (toasts.list.some(({ tone, text }) => tone === 'danger' && text === known.message)) return
  toasts.add({ tone: 'danger', text: known.message, action: null, life: null })
}
