/** Machines from elsewhere: what files offer, by their path, and what was asked for. */
import type { exchange } from '../../../src-shared/api/index.ts'
import type { ExportOffer, ImportOffer, OfferedMachine } from '../../../src-shared/api/exchange.ts'
import type { Task } from '../../../src-shared/api/tasks.ts'
import { GiB } from '../../../src-shared/base/units.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import { fakeTask } from './fake-objects.ts'

export function fakeOffered(name: string, over: Partial<OfferedMachine> = {}): OfferedMachine {
  return {
    name,
    hardware: { arch: 'x86_64', cpus: 2, memoryMiB: 2048, firmware: 'uefi', tpm: false },
    nics: 1,
    drives: [{ kind: 'disk', file: `${name}-disk1.vmdk`, format: 'vmdk', size: 40 * GiB }],
    snapshots: 0,
    why: 'QEMU runs it, accelerated by KVM.',
    problems: [],
    remarks: [],
    licences: [],
    refused: null,
    ...over,
  }
}

export class FakeExchange {
  readonly offers = new Map<string, ImportOffer>()
  readonly imported: unknown[] = []
  readonly exported: unknown[] = []
  /** What is said of an export. */
  consider: (wanted: { format: string; snapshot: string | null }) => Omit<ExportOffer, 'file'> = () => ({ remarks: [], refused: null })
  /** Files that are there. */
  readonly files = new Set<string>()

  /** @param start begins a task; `finish` runs at its end @param made shows a new machine and gives its id */
  handlers(
    called: (name: string) => void,
    start: (task: Task, finish: () => Task['result'] & object) => { task: string },
    made: (name: string) => string,
  ): Handlers<typeof exchange> {
    return {
      inspect: ({ path }) => {
        called('exchange.inspect')
        const offer = this.offers.get(path)
        if (!offer) throw new AppError('not-found', `“${path}” is not there.`)
        return offer
      },
      import: (input) => {
        called('exchange.import')
        this.imported.push(input)
        const name = input.name ?? this.offers.get(input.path)!.machines[input.machine]!.name
        const task = fakeTask({ kind: 'import-machine', title: `Importing “${name}”`, step: 'Converting “disk1.vmdk”' })
        return start(task, () => ({ id: made(name), remarks: [] }))
      },
      considerExport: ({ format, snapshot }) => {
        called('exchange.considerExport')
        return { file: `web-1.${format}`, ...this.consider({ format, snapshot }) }
      },
      export: (input) => {
        called('exchange.export')
        this.exported.push(input)
        if (this.files.has(input.path) && !input.replace)
          throw new AppError('already-exists', `There already is something at “${input.path}”.`, { subject: input.path })
        const task = fakeTask({ kind: 'export-machine', title: 'Exporting “web-1”', machine: input.id, step: 'Packing the disks' })
        return start(task, () => ({ bytes: 3 * GiB, remarks: [] }))
      },
    }
  }
}
