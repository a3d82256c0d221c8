/** The `exchange` service: machines from elsewhere, and for elsewhere. */
import { basename, extname } from 'node:path'
import type { exchange, ExportOffer, ImportOffer, OfferedMachine } from '../../../src-shared/api/exchange.ts'
import type { TaskStarted } from '../../../src-shared/api/tasks.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { isActive, STATE_WORDS } from '../../../src-shared/model/machine-state.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import type { ImageHolders, ImageUse } from '../images/image-holders.ts'
import type { Library } from '../library/library.ts'
import type { Machine } from '../machines/machine.ts'
import { stageBundle } from '../machines/making/staging.ts'
import { chooseEngine } from '../planner/choose-engine.ts'
import type { EngineFactsSource } from '../planner/facts.ts'
import { noSuchSnapshot } from '../snapshots/go-back.ts'
import { atRest } from '../snapshots/machine-at-rest.ts'
import { readSnapshots } from '../snapshots/snapshot-files.ts'
import type { TaskContext, TaskService } from '../tasks/task-service.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { fillFromArchive, openBundleArchive, planBundle } from './bundle/bundle-archive.ts'
import { bundleRemarks, packBundle } from './bundle/pack-bundle.ts'
import { packageBase, planOva, writeOva } from './export-ova.ts'
import { fillFromPackage } from './package/fill-from-package.ts'
import { importedConfig, planImport, type ImportPlan, type MachineOffer } from './package/offer-machine.ts'
import { chooseFile, openPackage, type ChosenFile } from './package/open-package.ts'

export interface ExchangeParts {
  library: Library
  tasks: TaskService
  storage: SharedThread
  engines: EngineFactsSource
  /** Who has the images that are read. */
  holders: ImageHolders
  hasNetwork(name: string): boolean
  /** @throws AppError `not-found` */
  machine(id: string): Promise<Machine>
}

type Wanted = Parameters<Handlers<typeof exchange>['considerExport']>[0]
type Export = Parameters<Handlers<typeof exchange>['export']>[0]
type Import = Parameters<Handlers<typeof exchange>['import']>[0]

/** A machine that can be made, and how its folder is filled. */
interface Candidate {
  offer: OfferedMachine
  /** Images that machines of the library may have. */
  uses: ImageUse[]
  fill(staging: string, name: string, context: TaskContext): Promise<MachineConfig>
}

export class ExchangeService {
  #parts: ExchangeParts

  readonly handlers: Handlers<typeof exchange> = {
    inspect: async ({ path }): Promise<ImportOffer> => {
      await this.#parts.library.ready
      const chosen = await chooseFile(path)
      const candidates = await this.#candidates(chosen)
      return { kind: chosen.kind, machines: candidates.map(({ offer }) => offer) }
    },
    import: (request) => this.#import(request),
    considerExport: async (wanted) => this.#considerExport(await this.#parts.machine(wanted.id), wanted),
    export: async (request) => this.#export(await this.#parts.machine(request.id), request),
  }

  constructor(parts: ExchangeParts) {
    this.#parts = parts
  }

  /** @param only the place of the one that is wanted; absent: all */
  async #candidates(chosen: ChosenFile, only?: number): Promise<Candidate[]> {
    const { library, storage, engines } = this.#parts
    await engines.whenFound()
    if (chosen.kind === 'coppice') {
      const plan = planBundle(await openBundleArchive(chosen.path, storage), library)
      return [
        {
          offer: this.#offer(plan.offer, () => plan.config),
          uses: [],
          fill: (staging, name, context) => fillFromArchive(staging, plan, name, storage, context),
        },
      ]
    }
    const from = await openPackage(chosen, storage)
    const candidates: Candidate[] = []
    for (const machine of only === undefined ? from.machines : from.machines.slice(only, only + 1)) {
      const plan = await planImport(from, machine, this.#parts)
      candidates.push({
        offer: this.#offer(plan.offer, () => importedConfig(plan, plan.offer.name)),
        uses: usesOf(plan),
        fill: (staging, name, context) => fillFromPackage(staging, from, plan, name, storage, context),
      })
    }
    return candidates
  }

  /** @param config of a machine that can be made */
  #offer(offer: MachineOffer, config: () => MachineConfig): OfferedMachine {
    if (offer.refused !== null) return { ...offer, why: '', problems: [] }
    const { why, problems } = chooseEngine(config(), this.#parts.engines.current)
    return { ...offer, why, problems: (problems ?? []).map(({ message }) => message) }
  }

  async #import(request: Import): Promise<TaskStarted> {
    const { path, machine, name: wish, licencesAccepted } = request
    const { library, tasks, holders } = this.#parts
    await library.ready
    const chosen = await chooseFile(path)
    const candidates = await this.#candidates(chosen, machine)
    const found = candidates[chosen.kind === 'coppice' ? machine : 0]
    if (!found) throw AppError.invalid([{ path: 'machine', message: `“${basename(path)}” has no machine with the number ${machine + 1}.` }])
    const { offer, uses, fill } = found
    if (offer.refused !== null) throw new AppError('unsupported', offer.refused, { subject: path })
    if (offer.licences.length > 0 && !licencesAccepted)
      throw AppError.invalid([{ path: 'licencesAccepted', message: 'The machine comes with a licence. Read and accept it first.' }])
    await holders.check(uses)
    const name = wish ?? offer.name
    const releaseName = library.claimName(name)
    const again = (): Promise<TaskStarted> => this.#import(request)
    return tasks.start({ kind: 'import-machine', title: `Importing “${name}”`, again }, async (context) => {
      try {
        const bundle = await holders.hold(uses, 'having its disk imported', () =>
          stageBundle(library, name, (staging) => fill(staging, name, context)),
        )
        return { id: bundle.id, remarks: offer.remarks }
      } finally {
        releaseName()
      }
    })
  }

  async #considerExport(machine: Machine, wanted: Wanted): Promise<ExportOffer> {
    const file = `${packageBase(machine.bundle.name)}.${wanted.format}`
    const refused = refusal(machine, wanted)
    if (refused !== null) return { file, remarks: [], refused: refused.message }
    const { remarks } = await this.#planned(machine, wanted, file)
    return { file, remarks, refused: null }
  }

  /** @returns the configuration that is exported, and what is to be said of it */
  async #planned(machine: Machine, { format, snapshot }: Wanted, file: string) {
    const { folder, config: now, problem } = machine.bundle
    const snapshots = await readSnapshots(folder)
    const frozen = snapshot === null ? null : snapshots.find(({ id }) => id === snapshot)
    if (frozen === undefined) throw noSuchSnapshot(snapshot!)
    const config = frozen?.config ?? now
    if (!config) throw problem!
    if (format === 'coppice') return { config, ova: null, remarks: bundleRemarks(config) }
    const named = { ...config, name: machine.bundle.name }
    const ova = await planOva(folder, named, packageBase(basename(file, extname(file))), this.#parts.storage)
    const others = snapshots.length - (frozen ? 1 : 0)
    const where = frozen ? `as it was at “${frozen.label}”` : 'as it is now'
    const remarks =
      snapshots.length === 0
        ? ova.remarks
        : [`It is exported ${where}. ${snapshotsLeftOut(others, frozen !== null)}`.trim(), ...ova.remarks]
    return { config, ova, remarks }
  }

  #export(machine: Machine, request: Export): TaskStarted {
    const refused = refusal(machine, request)
    if (refused) throw refused
    const { storage, library, tasks, holders } = this.#parts
    const { path, replace, snapshot } = request
    const { name } = machine.bundle
    const write = async (context: TaskContext): Promise<{ bytes: number; remarks: string[] }> => {
      context.step('Looking at the disks')
      const { config, ova, remarks } = await holders.naming(() => this.#planned(machine, request, basename(path)))
      // A disk that lies elsewhere may be another machine's, too.
      await holders.check(
        (ova?.members ?? []).flatMap((member) => (member.kind === 'disk' ? [{ path: member.image.path, write: false }] : [])),
      )
      const { bytes } = ova
        ? await writeOva(ova, { path, replace }, storage, context)
        : await packBundle(machine.bundle.folder, config, { path, replace }, storage, context)
      return { bytes, remarks }
    }
    const title = `Exporting “${name}” as ${basename(path)}`
    const again = (): TaskStarted => this.#export(machine, request)
    return tasks.start({ kind: 'export-machine', title, machine: machine.id, again }, (context) => {
      // A snapshot's files are written by nobody.
      if (snapshot !== null) return write(context)
      return atRest(machine, 'being exported', library, async () => {
        machine.setStatus({ task: context.id })
        try {
          return await write(context)
        } finally {
          machine.setStatus({ task: null })
        }
      })
    })
  }
}

/** Members of archives are nobody's disks. */
function usesOf({ drives }: ImportPlan): ImageUse[] {
  return drives.flatMap(({ source }) =>
    source.kind === 'image' ? source.image.layers.filter(({ range }) => range === null).map(({ path }) => ({ path, write: false })) : [],
  )
}

function snapshotsLeftOut(count: number, others: boolean): string {
  if (count === 0) return ''
  return `Its ${others ? 'other ' : ''}snapshots (${count}) are left out.`
}

function refusal(machine: Machine, { format, snapshot }: Wanted): AppError | null {
  const { bundle, state } = machine
  const wrong = (message: string): AppError => new AppError('wrong-state', message, { subject: bundle.name })
  if (!bundle.config) return bundle.problem
  if (snapshot !== null)
    return format === 'ova'
      ? null
      : AppError.invalid([{ path: 'snapshot', message: 'An archive of ours has all snapshots: it is not made of one.' }])
  const is = `“${bundle.name}” is ${STATE_WORDS[state].toLowerCase()}.`
  if (machine.session !== null || isActive(state))
    return wrong(
      format === 'ova' ? `${is} Shut it down, or export one of its snapshots.` : `${is} Shut it down or suspend it, and try again.`,
    )
  if (state === 'suspended' && format === 'ova')
    return wrong(
      `${is} What it is doing cannot go to other products: resume it and shut it down, export one of its snapshots, or export it as .coppice.`,
    )
  return null
}
