/** What components reach without passing it through: the host and the window's state. */
import { createContext } from 'svelte'
import type { WindowState } from '../state/window-state.svelte.ts'
import type { Host } from './host.ts'

export const [getWindowState, setWindowState] = createContext<WindowState>()

export function getHost(): Host {
  return getWindowState().host
}
