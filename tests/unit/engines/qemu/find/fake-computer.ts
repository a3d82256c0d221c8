/** Another computer: its platform, its environment and its files by value. */
import type { Computer } from '../../../../../src-main/engines/qemu/find/computer.ts'
import { pathsOf } from '../../../../../src-main/engines/qemu/find/computer.ts'
import type { RunProgram, RunResult } from '../../../../../src-main/engines/qemu/find/run-program.ts'

interface Given {
  platform: NodeJS.Platform
  arch?: string
  env?: Record<string, string>
  home?: string
  id?: string
  /** Content by full path; files that end in .exe or lie in a folder `bin` are programs. */
  files?: Record<string, string>
  kvm?: 'yes' | 'no' | 'absent'
  links?: Record<string, string>
}

export function fakeComputer({
  platform,
  arch = 'x64',
  env = {},
  home = '/home/ann',
  id = 'one',
  files = {},
  kvm,
  links = {},
}: Given): Computer {
  const { dirname, basename } = pathsOf({ platform })
  const text = (path: string): string | undefined => files[links[path] ?? path]
  return {
    ...{ platform, arch, env, home, id },
    files: {
      facts: (path) => Promise.resolve(text(path) === undefined ? null : { bytes: text(path)!.length, modified: 1 }),
      isProgram: (path) => Promise.resolve(text(path) !== undefined && (path.endsWith('.exe') || basename(dirname(path)) === 'bin')),
      access: () => Promise.resolve(kvm ?? 'absent'),
      real: (path) => Promise.resolve(links[path] ?? path),
      list: (folder) =>
        Promise.resolve(
          Object.keys(files)
            .filter((path) => dirname(path) === folder)
            .map((path) => basename(path))
            .sort(),
        ),
      read: (path, max) => Promise.resolve((text(path)?.length ?? Infinity) > max ? null : text(path)!),
    },
  }
}

export function ended(change: Partial<RunResult> = {}): RunResult {
  return { end: 'exit', code: 0, output: '', messages: '', ms: 20, ...change }
}

interface FakeQemu {
  arch: string
  version?: [number, number, number]
  accelerators?: string[]
  machines?: string[]
  commands?: string[]
}

/** What QEMU says to the questions of read-program.ts. */
export function answersOf({ arch, version = [8, 2, 1], accelerators = ['tcg'], machines = ['microvm'], commands = [] }: FakeQemu): string {
  const [major, minor, micro] = version
  const names = (...all: string[]): { name: string }[] => all.map((name) => ({ name }))
  const answers: Record<string, unknown> = {
    qmp_capabilities: {},
    'query-target': { arch },
    'query-machines': [
      ...machines.map((name) => ({ name, 'cpu-max': 288, deprecated: false })),
      { name: 'pc-q35-8.2', alias: 'q35', 'cpu-max': 1024 },
    ],
    devices: names('virtio-net-pci', 'e1000e', 'virtio-9p-pci'),
    accelerators: names(...accelerators.map((name) => `${name}-accel`)),
    objects: names('throttle-group', 'iothread'),
    'query-commands': names('query-vnc', 'snapshot-save', ...commands),
    'query-tpm-types': ['passthrough', 'emulator'],
    'query-migrate-capabilities': [{ capability: 'background-snapshot', state: false }],
    'query-command-line-options': [{ option: 'sandbox', parameters: [] }],
    quit: {},
  }
  const lines = [
    { QMP: { version: { qemu: { major, minor, micro }, package: 'Debian' }, capabilities: ['oob'] } },
    { event: 'NIC_RX_FILTER_CHANGED', data: {}, timestamp: { seconds: 1, microseconds: 2 } },
    ...Object.entries(answers).map(([id, value]) => ({ return: value, id })),
  ]
  return lines.map((line) => `${JSON.stringify(line)}\r\n`).join('')
}

export interface Call {
  program: string
  args: readonly string[]
}

/** Programs by path; every call is noted. What is none of them cannot be started. */
export function fakeRun(programs: Record<string, (args: readonly string[]) => Partial<RunResult>>): { run: RunProgram; calls: Call[] } {
  const calls: Call[] = []
  return {
    calls,
    run: ({ program, args }) => {
      calls.push({ program, args })
      return Promise.resolve(ended(programs[program]?.(args) ?? { end: 'absent', code: null, messages: `spawn ${program} ENOENT` }))
    },
  }
}

/** A program that answers as QEMU and runs the probe with these ends, by accelerator. */
export function fakeQemu(qemu: FakeQemu, probes: Record<string, Partial<RunResult>> = {}): (args: readonly string[]) => Partial<RunResult> {
  return (args) => {
    const accelerator = args[args.indexOf('-accel') + 1] ?? ''
    return args.includes('-accel') ? (probes[accelerator] ?? { code: 85 }) : { output: answersOf(qemu) }
  }
}
