/**
 * The machines that are there, as their bundles say: those in the library folder, and those opened from elsewhere. It reads, watches and
 * writes machine.json; it knows nothing of running. What it holds is always what is on disk: a change is written first and
 * shown then, and changes made by other programs show within moments.
 */
import { mkdir, readdir, rename } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import { Turns } from '../../../src-shared/base/turns.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { parseMachineConfig, type MachineConfig } from '../../../src-shared/model/machine.ts'
import { MAX_NAME_LENGTH, nameProblem } from '../../../src-shared/model/names.ts'
import { syncFolder, writeFileAtomic } from '../../files/write-file-atomic.ts'
import type { Log } from '../log/log.ts'
import { BUNDLE_SUFFIX, bundleFolderName, bundlePaths, nameFromFolder, nameKey } from './bundle.ts'
import { identify, type Bundle } from './identity.ts'
import { LibraryWatcher } from './library-watcher.ts'
import { readOpened, writeOpened } from './library-file.ts'
import { mapLimit } from './map-limit.ts'
import { readBundle, type BundleContent } from './read-bundle.ts'

/** Bundles that are read at once. */
const READERS = 32

export type LibraryChange = { kind: 'put'; bundle: Bundle } | { kind: 'removed'; id: string }

export class Library implements Disposable {
  readonly folder: string
  #log: Log
  #watcher: LibraryWatcher
  /** By folder, in the order of their discovery. */
  #contents = new Map<string, BundleContent>()
  #byFolder = new Map<string, Bundle>()
  #byId = new Map<string, Bundle>()
  #opened: string[] = []
  /** Names of machines in the making, by key. */
  #claims = new Set<string>()
  /** Counts our own writes of each bundle, so that a reading that began before one is not taken for news. */
  #writes = new Map<string, number>()
  /** Scans and changes of which bundles there are never overlap. */
  #turns = new Turns()
  #readings = new Set<Promise<void>>()
  #changed = new Emitter<LibraryChange>()

  readonly onChanged: Event<LibraryChange> = this.#changed.event
  /** Resolves when every bundle was read once. */
  readonly ready: Promise<void>

  /** @param folder absolute path; it must exist */
  constructor(folder: string, log: Log) {
    this.folder = folder
    this.#log = log
    this.#watcher = new LibraryWatcher(folder, log)
    this.#watcher.onLibrary(() => void this.rescan())
    this.#watcher.onBundle((bundle) => void this.refresh(bundle))
    this.ready = this.rescan()
  }

  bundles(): IterableIterator<Bundle> {
    return this.#byId.values()
  }

  get(id: string): Bundle | undefined {
    return this.#byId.get(id)
  }

  /** The bundle in this folder. */
  at(folder: string): Bundle | undefined {
    return this.#byFolder.get(folder)
  }

  /** Stops watching; resolves when nothing is read or written any more. */
  async close(): Promise<void> {
    this.dispose()
    await Promise.all([this.#turns.idle(), ...this.#readings])
  }

  dispose(): void {
    this.#watcher.dispose()
    this.#changed.dispose()
  }

  /** Compares the folder with what is known: reads what is new, drops what is gone. */
  rescan(): Promise<void> {
    return this.#turns
      .run(() => this.#scan())
      .catch((error: unknown) => this.#log.error('library', 'The library cannot be read.', { error }))
  }

  /** Reads one bundle again. */
  refresh(folder: string): Promise<void> {
    const reading = this.#refresh(folder)
      // Gone, or renamed: only the whole folder tells which.
      .then((gone) => (gone ? this.rescan() : undefined))
      .finally(() => this.#readings.delete(reading))
    this.#readings.add(reading)
    return reading
  }

  /** True where the bundle is not there any more. */
  async #refresh(folder: string): Promise<boolean> {
    const inLibrary = dirname(folder) === this.folder
    if (!inLibrary && !this.#opened.includes(folder)) return false
    const writes = this.#writes.get(folder)
    const known = this.#contents.has(folder)
    const content = (await readBundle(folder, inLibrary)) ?? missing(folder, inLibrary)
    if (!content) return true
    // Moved away or forgotten meanwhile: what was read is not there any more.
    if (known && !this.#contents.has(folder)) return false
    if (this.#writes.get(folder) !== writes) return false
    this.#put(folder, content)
    this.#publish()
    return false
  }

  async #scan(): Promise<void> {
    this.#opened = await readOpened(this.folder, this.#log)
    const names = await readdir(this.folder, { withFileTypes: true }).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      return []
    })
    const present = names
      .filter((entry) => entry.name.endsWith(BUNDLE_SUFFIX) && !entry.name.startsWith('.') && !entry.isFile())
      .map((entry) => join(this.folder, entry.name))
    const wanted = new Set([...present, ...this.#opened])
    for (const folder of [...this.#contents.keys()]) if (!wanted.has(folder)) this.#drop(folder)
    const fresh = [...wanted].filter((folder) => !this.#contents.has(folder))
    await mapLimit(fresh, READERS, async (folder) => {
      // Watched before it is read: nothing that happens in between is missed.
      this.#watcher.add(folder)
      const inLibrary = dirname(folder) === this.folder
      this.#put(folder, (await readBundle(folder, inLibrary)) ?? missing(folder, inLibrary))
    })
    this.#publish()
  }

  /** A bundle in the library that is gone is dropped; one opened from elsewhere stays, with its problem. */
  #put(folder: string, content: BundleContent | null): void {
    if (!content) return this.#drop(folder)
    const old = this.#contents.get(folder)
    if (old && isDeepStrictEqual(old.config, content.config)) content.config = old.config
    if (old && isDeepStrictEqual(old.suspended, content.suspended)) content.suspended = old.suspended
    this.#contents.set(folder, content)
    this.#watcher.add(folder)
  }

  #drop(folder: string): void {
    this.#contents.delete(folder)
    this.#writes.delete(folder)
    this.#watcher.remove(folder)
  }

  #publish(): void {
    const holders = new Map([...this.#byId.values()].map((bundle) => [bundle.id, bundle.folder]))
    const bundles = identify([...this.#contents.values()], holders, this.#byFolder)
    const before = this.#byId
    this.#byId = new Map(bundles.map((bundle) => [bundle.id, bundle]))
    this.#byFolder = new Map(bundles.map((bundle) => [bundle.folder, bundle]))
    for (const id of before.keys()) if (!this.#byId.has(id)) this.#changed.fire({ kind: 'removed', id })
    for (const bundle of bundles) if (before.get(bundle.id) !== bundle) this.#changed.fire({ kind: 'put', bundle })
  }

  /**
   * Writes machine.json and shows it.
   * @returns the bundle with its new configuration
   * @throws AppError by the system's reason; the old file then is untouched
   */
  async writeConfig(folder: string, config: MachineConfig): Promise<Bundle> {
    const checked = parseMachineConfig(config)
    await writeFileAtomic(bundlePaths(folder).config, serialiseConfig(checked))
    this.#writes.set(folder, (this.#writes.get(folder) ?? 0) + 1)
    const old = this.#contents.get(folder)
    this.#put(folder, {
      folder,
      inLibrary: dirname(folder) === this.folder,
      problem: null,
      suspended: old?.suspended ?? null,
      config: checked,
    })
    this.#publish()
    return this.#byFolder.get(folder)!
  }

  /** Gives a bundle in the library the folder name that its machine's name asks for, or a free one like it. Answers the new path. */
  async renameFolder(folder: string, name: string): Promise<string> {
    const wish = bundleFolderName(name)
    if (dirname(folder) !== this.folder || basename(folder) === wish) return folder
    // A change of case alone names the same folder on some file systems, and is not a collision.
    const target = nameKey(basename(folder)) === nameKey(wish) ? join(this.folder, wish) : await this.freeFolder(name)
    await this.move(folder, target)
    return target
  }

  /** Moves a bundle inside the library, or into it; the machine keeps its identity. */
  move(from: string, to: string): Promise<void> {
    return this.#turns.run(() => this.#move(from, to))
  }

  async #move(from: string, to: string): Promise<void> {
    try {
      await rename(from, to)
    } catch (error) {
      throw asAppError(error, `Renaming “${from}”`)
    }
    await syncFolder(dirname(to))
    const known = this.#contents.get(from)
    if (known) {
      this.#drop(from)
      this.#put(to, { ...known, folder: to })
      this.#publish()
    } else await this.#refresh(to)
  }

  /** A path that nothing has, for a bundle of this name: "web.coppice", "web 2.coppice" … */
  async freeFolder(name: string, parent = this.folder): Promise<string> {
    const taken = new Set((await readdir(parent)).map(nameKey))
    for (let n = 1; ; n++) {
      const candidate = bundleFolderName(n === 1 ? name : `${name} ${n}`)
      const unique =
        n > 1 && candidate === bundleFolderName(name) ? `${candidate.slice(0, -BUNDLE_SUFFIX.length)} ${n}${BUNDLE_SUFFIX}` : candidate
      if (!taken.has(nameKey(unique))) return join(parent, unique)
    }
  }

  /** True where a machine other than `except` has this name, or is being made with it. */
  isNameTaken(name: string, except?: string): boolean {
    const key = nameKey(name)
    if (this.#claims.has(key)) return true
    for (const bundle of this.#byId.values()) if (bundle.id !== except && nameKey(bundle.name) === key) return true
    return false
  }

  /**
   * Holds a name while its machine is made. Call the result when it stands in the library, or will not.
   * @throws AppError `already-exists`, with the field `name`
   */
  claimName(name: string, except?: string): () => void {
    if (this.isNameTaken(name, except)) {
      const message = `There is already a machine named “${name}”. Choose another name.`
      throw new AppError('already-exists', message, { fields: [{ path: 'name', message }], subject: name })
    }
    const key = nameKey(name)
    this.#claims.add(key)
    return () => this.#claims.delete(key)
  }

  /** A valid name nobody has, like `wish`. */
  suggestName(wish: string): string {
    const cleaned = [...wish.replace(/[<>:"/\\|?*\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')].slice(0, MAX_NAME_LENGTH - 8).join('')
    const base = cleaned.replace(/^[\s.]+|[\s.]+$/g, '')
    const stem = nameProblem(base) === null ? base : 'Machine'
    for (let n = 1; ; n++) {
      const candidate = n === 1 ? stem : `${stem} ${n}`
      if (!this.isNameTaken(candidate)) return candidate
    }
  }

  /** Shows a bundle that stands elsewhere, from now on. Absolute path. */
  open(folder: string): Promise<Bundle> {
    return this.#turns.run(() => this.#open(folder))
  }

  async #open(folder: string): Promise<Bundle> {
    if (dirname(folder) !== this.folder && !this.#opened.includes(folder)) {
      const content = await readBundle(folder, false)
      if (!content) throw new AppError('not-found', `There is no bundle “${folder}”.`, { subject: folder })
      if (!content.config && content.problem?.code === 'not-found')
        throw new AppError('invalid-input', `“${folder}” is not a machine’s bundle: it has no machine.json.`, { subject: folder })
      await this.#remember([...this.#opened, folder])
      this.#put(folder, content)
      this.#publish()
    } else if (await this.#refresh(folder)) await this.#scan()
    const bundle = this.#byFolder.get(folder)
    if (!bundle) throw new AppError('not-found', `There is no bundle “${folder}”.`, { subject: folder })
    return bundle
  }

  /** Forgets a bundle that stands elsewhere, or whose folder was just moved away. Touches no file of it. */
  forget(folder: string): Promise<void> {
    return this.#turns.run(async () => {
      if (this.#opened.includes(folder)) await this.#remember(this.#opened.filter((path) => path !== folder))
      this.#drop(folder)
      this.#publish()
    })
  }

  async #remember(opened: string[]): Promise<void> {
    await mkdir(this.folder, { recursive: true })
    await writeOpened(this.folder, opened)
    this.#opened = opened
  }
}

export function serialiseConfig(config: MachineConfig): string {
  return `${JSON.stringify(config, null, 2)}\n`
}

function missing(folder: string, inLibrary: boolean): BundleContent | null {
  if (inLibrary) return null
  const problem = new AppError(
    'not-found',
    `The bundle is not there now: “${folder}”. Connect its disk or put it back; or forget “${nameFromFolder(folder)}”.`,
    { subject: folder },
  )
  return { folder, inLibrary, config: null, problem, suspended: null }
}
