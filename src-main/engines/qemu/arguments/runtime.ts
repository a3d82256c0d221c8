/** What one life of a QEMU process is told beside its spec: where it listens, what it goes on from, and what computer it runs on. */
import { placed } from '../../../../src-shared/model/live-change.ts'
import type { MachineSpec } from '../../../../src-shared/model/machine-spec.ts'

/** QEMU listens there, and we connect. On Windows, which has no unix sockets for it, on 127.0.0.1. */
export type Endpoint = { kind: 'unix'; path: string } | { kind: 'inet'; port: number }

export interface QemuRuntime {
  /** QMP of the supervisor. */
  qmp: Endpoint
  /** QMP of tools: a QMP socket takes one client. */
  tools: Endpoint
  /** One for each serial port; `log`: the file to which QEMU appends all output, also while nobody is connected. */
  serial: readonly { endpoint: Endpoint; log: string | null }[]
  /** By NIC id, but for cards that QEMU joins itself. A card has no link until something is connected and the supervisor says so (`set_link`). */
  nics: Readonly<Record<string, Endpoint>>
  /** RFB; null for a machine without display. */
  display: Endpoint | null
  /** qemu-guest-agent, and Coppice's own agent. */
  guestAgent: Endpoint
  coppiceAgent: Endpoint
  /** Where swtpm listens; null without TPM. */
  tpm: Endpoint | null
  /** QEMU writes its pid there. */
  pidFile: string
  /** Where memory to go on from comes from, as `-incoming` takes it ("defer", "fd:3"); null: it boots. */
  incoming: string | null
}

/** The computer that QEMU runs on, as Node names it. */
export interface Platform {
  os: 'linux' | 'darwin' | 'win32'
  arch: 'x64' | 'arm64'
}

/**
 * The runtime of a machine with all its unix sockets in one private folder. Names are short: the path of a socket has at most 107 bytes
 * on Linux and 103 on macOS (sun_path).
 * @param join joins paths as the platform does
 */
export function runtimeIn(folder: string, spec: MachineSpec, join: (...parts: string[]) => string): QemuRuntime {
  const socket = (name: string): Endpoint => ({ kind: 'unix', path: join(folder, name) })
  return {
    qmp: socket('qmp'),
    tools: socket('tools'),
    serial: Array.from({ length: spec.serialPorts }, (_, port) => ({
      endpoint: socket(`serial${port}`),
      log: join(spec.logFolder, `serial${port}.log`),
    })),
    nics: Object.fromEntries(placed(spec.nics).flatMap(({ id, place, bridge }) => (bridge ? [] : [[id, socket(nicSocket(place))]]))),
    display: spec.qemu?.display === 'none' ? null : socket('display'),
    guestAgent: socket('agent'),
    coppiceAgent: socket('coppice'),
    tpm: spec.qemu?.tpm ? socket('tpm') : null,
    pidFile: join(folder, 'pid'),
    incoming: null,
  }
}

/** The name of a network card's socket in that folder. */
export function nicSocket(place: number): string {
  return `nic${place}`
}
