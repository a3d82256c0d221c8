/**
 * Tells when bundles come, go or change. Theory of operation: one watcher on the library folder sees bundles come and go. What changes inside
 * a bundle is seen by a recursive watcher where the system has them (macOS, Windows), elsewhere by one watcher on each bundle's folder
 * (inotify: not its sub-folders, so that growing logs and disks wake nobody). Events are merged for a moment, because one save makes several.
 * A watched folder that is deleted takes its watcher with it: `check` notices by the inode, and the parent is watched until it is back.
 */
import { statSync, watch, type FSWatcher } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import type { Log } from '../log/log.ts'
import { BUNDLE_SUFFIX, CONFIG_FILE, SUSPEND_FOLDER } from './bundle.ts'

/** ms in which events are merged. */
const QUIET = 50
/** ms between looks for a folder whose parent is gone too; only then is anything polled. */
const RETRY = 3000
const RECURSIVE = process.platform === 'darwin' || process.platform === 'win32'

export class LibraryWatcher implements Disposable {
  #folder: string
  #log: Log
  #main: FSWatcher | null = null
  #parent: FSWatcher | null = null
  #retry: NodeJS.Timeout | null = null
  #inode: number | null = null
  #bundles = new Map<string, FSWatcher>()
  #pending = new Set<string>()
  #timer: NodeJS.Timeout | null = null
  #disposed = false
  #saidFull = false
  #library = new Emitter<void>()
  #bundle = new Emitter<string>()

  /** Bundles may have come or gone. */
  readonly onLibrary: Event<void> = this.#library.event
  /** Absolute path of a bundle whose machine.json or suspended state may have changed. */
  readonly onBundle: Event<string> = this.#bundle.event

  /** @param folder absolute path of the library; it may be missing */
  constructor(folder: string, log: Log) {
    this.#folder = folder
    this.#log = log
    this.check()
  }

  /** Looks whether the library folder is still the one that is watched, and watches what is there. */
  check(): void {
    if (this.#disposed) return
    const inode = statSync(this.#folder, { throwIfNoEntry: false })?.ino ?? null
    if (inode !== null && inode === this.#inode) return
    this.#stopMain()
    if (inode === null) this.#awaitFolder()
    else this.#watchMain(inode)
  }

  /** Watches one bundle's own files. Idempotent. */
  add(bundle: string): void {
    if (this.#disposed || this.#bundles.has(bundle) || (RECURSIVE && dirname(bundle) === this.#folder)) return
    try {
      const watcher = watch(bundle, { persistent: false }, (_kind, name) => {
        // Its own name: it was deleted or renamed, and this watcher sees no more.
        if (name === basename(bundle)) this.remove(bundle)
        if (name === null || name === CONFIG_FILE || name === SUSPEND_FOLDER || name === basename(bundle)) this.#mark(bundle)
      })
      watcher.on('error', () => this.remove(bundle))
      this.#bundles.set(bundle, watcher)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'ENOENT' || code === 'ENOTDIR' || this.#saidFull) return
      this.#saidFull = true
      this.#log.warn('library', 'Some bundles cannot be watched: changes made to them by other programs show after a restart.', { error })
    }
  }

  remove(bundle: string): void {
    this.#bundles.get(bundle)?.close()
    this.#bundles.delete(bundle)
  }

  dispose(): void {
    this.#disposed = true
    this.#stopMain()
    for (const bundle of [...this.#bundles.keys()]) this.remove(bundle)
    if (this.#timer) clearTimeout(this.#timer)
    this.#library.dispose()
    this.#bundle.dispose()
  }

  #watchMain(inode: number): void {
    try {
      this.#main = watch(this.#folder, { persistent: false, recursive: RECURSIVE }, (_kind, name) => this.#onMain(name))
      this.#main.on('error', () => {
        this.#stopMain()
        this.#mark(this.#folder)
      })
      this.#inode = inode
    } catch (error) {
      this.#log.warn('library', 'The library folder cannot be watched: changes made by other programs show after a restart.', { error })
    }
  }

  #onMain(name: string | null): void {
    const [first = '', second, third] = (name ?? '').split(/[/\\]/)
    if (name === null || second === undefined) {
      // Hidden names are machines in the making; the library's own name is its deletion.
      if (name === null || first.endsWith(BUNDLE_SUFFIX) || first === 'library.json' || first === basename(this.#folder))
        this.#mark(this.#folder)
    } else if (second === CONFIG_FILE || (second === SUSPEND_FOLDER && (third === undefined || third === 'suspend.json')))
      this.#mark(join(this.#folder, first))
  }

  #awaitFolder(): void {
    try {
      this.#parent = watch(dirname(this.#folder), { persistent: false }, (_kind, name) => {
        if (name === null || name === basename(this.#folder)) this.#mark(this.#folder)
      })
      this.#parent.on('error', () => this.#mark(this.#folder))
    } catch {
      this.#retry = setTimeout(() => this.#mark(this.#folder), RETRY)
      this.#retry.unref()
    }
  }

  #stopMain(): void {
    this.#main?.close()
    this.#parent?.close()
    if (this.#retry) clearTimeout(this.#retry)
    this.#main = this.#parent = this.#retry = this.#inode = null
  }

  #mark(path: string): void {
    if (this.#disposed) return
    this.#pending.add(path)
    if (this.#timer) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      const marked = [...this.#pending]
      this.#pending.clear()
      if (marked.includes(this.#folder)) {
        this.check()
        this.#library.fire()
      }
      for (const bundle of marked) if (bundle !== this.#folder) this.#bundle.fire(bundle)
    }, QUIET)
    this.#timer.unref()
  }
}
