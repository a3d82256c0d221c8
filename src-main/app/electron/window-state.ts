/** Where the window was: remembered between runs, and never off the screens that are there now. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'

/** In device-independent pixels, as Electron's. */
export interface Rectangle {
  x: number
  y: number
  width: number
  height: number
}

export const SMALLEST = { width: 900, height: 600 }
export const USUAL = { width: 1280, height: 800 }
/** So much of the window has to be on a screen, else it could not be taken hold of. */
const GRIP = 100

const coordinate = z.number().int().min(-100_000).max(100_000)
const stateSchema = z.strictObject({
  bounds: z.strictObject({ x: coordinate, y: coordinate, width: coordinate.positive(), height: coordinate.positive() }).nullable(),
  maximized: z.boolean(),
})
export type WindowState = z.output<typeof stateSchema>

/** Bytes; ours has about a hundred. */
const MAX_FILE = 4096

/** The remembered state; a missing or broken file is no state. */
export async function readWindowState(file: string): Promise<WindowState> {
  try {
    const text = await readFile(file, 'utf8')
    if (text.length <= MAX_FILE) return stateSchema.parse(JSON.parse(text))
  } catch {
    // As on the first run.
  }
  return { bounds: null, maximized: false }
}

/** Done when it returns: a window that closes may be the last, and the process ends with it. */
export function writeWindowState(file: string, state: WindowState): void {
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(`${file}.new`, JSON.stringify(state))
  renameSync(`${file}.new`, file)
}

/**
 * Where to open the window.
 * @param workAreas of the screens, the first one primary
 */
export function placeWindow(
  bounds: Rectangle | null,
  workAreas: readonly Rectangle[],
): Partial<Rectangle> & { width: number; height: number } {
  const primary = workAreas[0]
  const fit = (size: { width: number; height: number }, area: Rectangle | undefined): { width: number; height: number } => ({
    width: Math.max(SMALLEST.width, Math.min(size.width, area?.width ?? size.width)),
    height: Math.max(SMALLEST.height, Math.min(size.height, area?.height ?? size.height)),
  })
  const area = bounds === null ? undefined : workAreas.find((candidate) => isHeld(bounds, candidate))
  if (bounds === null || !area) return fit(bounds ?? USUAL, primary)
  const size = fit(bounds, area)
  const within = (position: number, length: number, start: number, available: number): number =>
    Math.max(start, Math.min(position, start + available - length))
  return { ...size, x: within(bounds.x, size.width, area.x, area.width), y: within(bounds.y, size.height, area.y, area.height) }
}

function isHeld(bounds: Rectangle, area: Rectangle): boolean {
  const wide = Math.min(bounds.x + bounds.width, area.x + area.width) - Math.max(bounds.x, area.x)
  const high = Math.min(bounds.y + bounds.height, area.y + area.height) - Math.max(bounds.y, area.y)
  return wide >= GRIP && high >= GRIP
}
