/** The host itself: what it is, what this computer can run and why, its files, its end. */
import { z } from 'zod'
import type { WireError } from '../errors/app-error.ts'
import { call, defineService, event } from '../rpc/service.ts'

export interface HostInfo {
  version: string
  platform: 'linux' | 'darwin' | 'win32'
  arch: string
  /** How the host runs. */
  shell: 'electron' | 'served' | 'headless'
  library: string
  home: string
  /** What this peer may use: the window hides the rest. */
  features: { terminal: boolean }
  /** What was wrong with the settings' file when this host read it, and what became of it. */
  settingsProblem: WireError | null
  versions: Record<string, string>
}

export type CheckState = 'ok' | 'warning' | 'problem' | 'info'
export interface DoctorCheck {
  id: string
  group: 'engines' | 'guests' | 'host' | 'window'
  title: string
  state: CheckState
  /** What was found, a sentence. */
  detail: string
  /** What to do, a sentence; null where nothing is to be done. */
  advice: string | null
}
export interface DoctorReport {
  at: string
  /** One sentence on the whole. */
  summary: string
  checks: DoctorCheck[]
}

export interface DirectoryEntry {
  name: string
  path: string
  kind: 'folder' | 'bundle' | 'file'
  bytes: number | null
  modified: string | null
}

export const system = defineService('system', {
  info: call(z.strictObject({})).returns<HostInfo>(),
  doctor: call(z.strictObject({})).returns<DoctorReport>(),
  /** For choosing files in the window. Hidden entries are left out; at most 5,000 are given. */
  listFolder: call(z.strictObject({ path: z.string() })).returns<{
    path: string
    parent: string | null
    entries: DirectoryEntry[]
    truncated: boolean
  }>(),
  /** Ends the host. Running machines: `suspend` keeps them, `powerOff` pulls their plug, `refuse` fails while any runs. */
  quit: call(z.strictObject({ running: z.enum(['suspend', 'powerOff', 'refuse']) })).returns<void>(),
  quitting: event<{ reason: string }>(),
})
