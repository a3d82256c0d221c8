/**
 * What a QEMU program is and can: asked through QMP on its standard input and output, with a machine of nothing that is never started. All
 * questions go at once, `quit` is the last, and the program's output is read when it has ended. That takes some 40 ms, needs no socket, and
 * its answers are data, unlike the texts of `-device help`.
 */
import { z } from 'zod'
import { MAX_DEVICES, MAX_MACHINE_TYPES, type QemuFeature, type QemuProgram } from '../../../../src-shared/model/engine-facts.ts'
import { ACCELERATORS, type Accelerator } from '../../../../src-shared/model/machine-spec.ts'
import type { Arch } from '../../../../src-shared/model/machine.ts'
import { lastReason } from '../supervise/message-tail.ts'
import type { RunProgram, RunResult } from './run-program.ts'

/** ms for a program to answer; on a cold disk behind a virus scanner it takes seconds. */
const PATIENCE = 15_000
const MAX_LINES = 100
const MAX_NAME = 128

const QUESTIONS = [
  { execute: 'qmp_capabilities' },
  { execute: 'query-target' },
  { execute: 'query-machines' },
  { execute: 'qom-list-types', arguments: { implements: 'device', abstract: false }, id: 'devices' },
  { execute: 'qom-list-types', arguments: { implements: 'accel', abstract: false }, id: 'accelerators' },
  { execute: 'qom-list-types', arguments: { implements: 'user-creatable', abstract: false }, id: 'objects' },
  { execute: 'query-commands' },
  { execute: 'query-tpm-types' },
  { execute: 'query-migrate-capabilities' },
  { execute: 'query-command-line-options' },
  // Drivers may be modules of their own, which nothing lists: a disk is asked for that fails before anything is connected to.
  {
    execute: 'blockdev-add',
    id: 'disk-nbd',
    arguments: { driver: 'nbd', server: { type: 'unix', path: '/' }, 'tls-creds': 'none', 'node-name': 'a' },
  },
  {
    execute: 'blockdev-add',
    id: 'disk-iscsi',
    arguments: {
      ...{ driver: 'iscsi', transport: 'tcp', portal: '127.0.0.1:1', target: 'none', user: 'none', 'password-secret': 'none' },
      'node-name': 'b',
    },
  },
  {
    execute: 'blockdev-add',
    id: 'disk-nfs',
    arguments: { driver: 'nfs', server: { type: 'inet', host: '127.0.0.1' }, path: 'none', 'node-name': 'c' },
  },
  // As is the other end of a network card: of no card of this computer.
  { execute: 'netdev_add', id: 'net-vmnet', arguments: { type: 'vmnet-bridged', id: 'd', ifname: 'none' } },
  { execute: 'quit' },
]

/** `-nodefaults -no-user-config`: nothing of this computer's settings; `-M none`: no board; `-S`: nothing runs. */
export const ASK_ARGUMENTS = ['-nodefaults', '-no-user-config', '-display', 'none', '-M', 'none', '-S', '-qmp', 'stdio'] as const
export const ASK_INPUT = QUESTIONS.map((question) => `${JSON.stringify({ id: question.execute, ...question })}\n`).join('')

export interface ProgramAnswer {
  program: QemuProgram
  /** Those that this build has; whether they work is another question. */
  accelerators: Accelerator[]
}

/** @returns a sentence that says why it is none, where it is none */
export async function readProgram(path: string, arch: Arch, run: RunProgram): Promise<ProgramAnswer | string> {
  const result = await run({ program: path, args: ASK_ARGUMENTS, input: ASK_INPUT, limit: PATIENCE })
  return parseProgram(path, arch, result)
}

const name = z.string().min(1).max(MAX_NAME)
const names = <K extends string>(key: K, max: number): z.ZodType<string[]> =>
  z
    .array(z.looseObject({ [key]: z.string() }))
    .max(max)
    .transform((items) => items.map((item) => String(item[key])).filter((one) => name.safeParse(one).success))

const greetingSchema = z.looseObject({
  QMP: z.looseObject({
    version: z.looseObject({
      qemu: z.looseObject({
        major: z.number().int().min(0).max(9999),
        minor: z.number().int().min(0).max(9999),
        micro: z.number().int().min(0).max(9999),
      }),
    }),
  }),
})
const targetSchema = z.looseObject({ arch: z.string() })
const machinesSchema = z
  .array(z.looseObject({ name, alias: name.optional(), 'cpu-max': z.number().int() }))
  .max(MAX_MACHINE_TYPES)
  .transform((types) =>
    types.map((type) => ({ name: type.name, alias: type.alias ?? null, maxCpus: Math.min(Math.max(type['cpu-max'], 1), 65_535) })),
  )
const answerSchema = z.looseObject({ id: z.string(), return: z.unknown() })
const refusalSchema = z.looseObject({ id: z.string(), error: z.looseObject({ desc: z.string() }) })

/** Pure. */
export function parseProgram(path: string, arch: Arch, result: RunResult): ProgramAnswer | string {
  const problem = problemOf(result)
  if (problem !== null) return problem
  const { greeting, answers, refusals } = readAnswers(result.output)
  if (!greeting) return 'It is no QEMU, or one that does not start.'
  const ask = <T>(id: string, schema: z.ZodType<T>): T | null => schema.safeParse(answers.get(id)).data ?? null

  const target = ask('query-target', targetSchema)?.arch
  if (target !== arch)
    return `It runs ${target === undefined ? 'nobody knows which guests' : `${target.slice(0, 20)} guests`}, unlike its name says.`
  const machineTypes = ask('query-machines', machinesSchema)
  const devices = ask('devices', names('name', MAX_DEVICES))
  const accelerators = ask('accelerators', names('name', 100))
  if (!machineTypes || !devices || !accelerators) return 'Its answers cannot be read.'

  const { major, minor, micro } = greeting.QMP.version.qemu
  const since = (atLeastMajor: number, atLeastMinor: number): boolean =>
    major > atLeastMajor || (major === atLeastMajor && minor >= atLeastMinor)
  const commands = new Set(ask('query-commands', names('name', 5000)))
  const objects = new Set(ask('objects', names('name', 1000)))
  const options = new Set(ask('query-command-line-options', names('option', 1000)))
  const capabilities = new Set(ask('query-migrate-capabilities', names('capability', 500)))
  const tpmTypes = ask('query-tpm-types', z.array(z.string()).max(100)) ?? []
  // Any other complaint is the driver's own.
  const hasDriver = (id: string): boolean => !/unknown driver|module|does not accept value/i.test(refusals.get(id) ?? 'Unknown driver')
  const has: Record<QemuFeature, boolean> = {
    sandbox: options.has('sandbox'),
    vnc: commands.has('query-vnc'),
    // Neither shows but in the whole of QEMU's schema, which takes longer than everything else here: the versions that brought them.
    'netdev-stream': since(7, 2),
    'screendump-png': since(7, 1),
    'netdev-vmnet': hasDriver('net-vmnet'),
    'throttle-group': objects.has('throttle-group'),
    'tpm-emulator': tpmTypes.includes('emulator'),
    'shared-folders': devices.some((device) => /^virtio-9p-(pci|device)$/.test(device)),
    'snapshot-save': commands.has('snapshot-save'),
    'background-snapshot': capabilities.has('background-snapshot'),
    'disk-nbd': hasDriver('disk-nbd'),
    'disk-iscsi': hasDriver('disk-iscsi'),
    'disk-nfs': hasDriver('disk-nfs'),
    'ignore-shared': capabilities.has('x-ignore-shared'),
  }
  return {
    program: {
      arch,
      path,
      version: `${major}.${minor}.${micro}`,
      machineTypes,
      devices: [...new Set(devices)].sort(),
      features: (Object.keys(has) as QemuFeature[]).filter((feature) => has[feature]),
    },
    accelerators: ACCELERATORS.filter((accelerator) => accelerators.includes(`${accelerator}-accel`)),
  }
}

function problemOf({ end, code, messages }: RunResult): string | null {
  const said = lastReason(messages)
  const because = said === null ? '' : ` It says: ${said}`
  switch (end) {
    case 'absent':
      return `It could not be started.${because}`
    case 'limit':
      return `It did not answer within ${PATIENCE / 1000} seconds.${because}`
    case 'output':
      return 'It said more than any QEMU would.'
    case 'exit':
      return code === 0 ? null : `It ended with ${code === null ? 'a crash' : `status ${code}`}.${because}`
  }
}

interface Answers {
  greeting: z.output<typeof greetingSchema> | null
  answers: Map<string, unknown>
  /** What it said of questions that it did not answer. */
  refusals: Map<string, string>
}

function readAnswers(output: string): Answers {
  let greeting: Answers['greeting'] = null
  const answers = new Map<string, unknown>()
  const refusals = new Map<string, string>()
  for (const line of output.split('\n', MAX_LINES)) {
    let json: unknown
    try {
      json = JSON.parse(line)
    } catch {
      continue
    }
    greeting ??= greetingSchema.safeParse(json).data ?? null
    const answer = answerSchema.safeParse(json).data
    const refusal = refusalSchema.safeParse(json).data
    if (refusal) refusals.set(refusal.id, refusal.error.desc)
    else if (answer) answers.set(answer.id, answer.return)
  }
  return { greeting, answers, refusals }
}
