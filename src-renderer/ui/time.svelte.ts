/** Times relative to now ("3 min ago"), kept right by one clock for the whole window that runs only while somebody looks. */
import { createSubscriber } from 'svelte/reactivity'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

function clock(period: number): () => number {
  const subscribe = createSubscriber((update) => {
    const timer = setInterval(update, period)
    return () => clearInterval(timer)
  })
  return () => {
    subscribe()
    return Date.now()
  }
}

/** The time now, read again every second by whatever effect or template reads it. */
export const nowBySecond = clock(1000)
export const nowByMinute = clock(MINUTE / 2)

/** "just now", "5 min ago", "3 h ago", "2 days ago", then the date. */
export function relativeTime(iso: string): string {
  const age = nowByMinute() - Date.parse(iso)
  if (age <= -MINUTE) return inFuture(-age)
  if (age < MINUTE) return 'just now'
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min ago`
  if (age < DAY) return `${Math.floor(age / HOUR)} h ago`
  if (age < 2 * DAY) return 'yesterday'
  if (age < 14 * DAY) return `${Math.floor(age / DAY)} days ago`
  return new Date(iso).toLocaleDateString(undefined, { dateStyle: 'medium' })
}

function inFuture(ms: number): string {
  if (ms < HOUR) return `in ${Math.round(ms / MINUTE)} min`
  if (ms < 2 * DAY) return `in ${Math.round(ms / HOUR)} h`
  return `in ${Math.round(ms / DAY)} days`
}

/** The exact time, for tooltips. */
export function exactTime(iso: string): string {
  return new Date(iso).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
}
