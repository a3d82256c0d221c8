/**
 * Debian's package tools with a state of their own: the system's sources, keys and proxies are used, nothing of the system is read or
 * changed beyond that, and no rights are needed. Downloads are verified by apt against the signed lists.
 */
import { spawn } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../src-shared/errors/app-error.ts'

export type DebianArch = 'i386' | 'amd64'

export interface PackageRecord {
  name: string
  version: string
  /** The one real package behind a meta package: first word of each dependency. */
  depends: string[]
  /** Bytes of the .deb file. */
  size: number
}

/** Output kept from a child, bytes: package records are small. */
const MAX_OUTPUT = 4 * 1024 * 1024

export class Apt {
  #folder: string
  #arch: DebianArch
  #signal: AbortSignal | undefined

  /** @param folder private and empty; its owner removes it */
  constructor(folder: string, arch: DebianArch, signal?: AbortSignal) {
    this.#folder = folder
    this.#arch = arch
    this.#signal = signal
  }

  /**
   * Fetches the package lists. Some of a system's sources may fail (a mirror being synchronised, a vendor's server that is down): that is
   * an error only if a package that is needed is then not found, so the complaint is answered, not thrown.
   */
  async update(): Promise<{ complaint: string | null }> {
    await this.#prepare()
    const { code, errors } = await this.#run('apt-get', ['update', '-q', '--error-on=any'])
    return { complaint: code === 0 ? null : tail(errors) }
  }

  /** The newest version of each package. Throws AppError `unavailable` for one that no source has. */
  async show(names: readonly string[]): Promise<PackageRecord[]> {
    const { output, errors } = await this.#run('apt-cache', ['show', '--no-all-versions', ...names])
    const records = parseRecords(output)
    return names.map((name) => {
      const record = records.find((one) => one.name === name)
      if (record) return record
      throw new AppError(
        'unavailable',
        `The package sources of this system have no ${name} for ${this.#arch}, from which Coppice Linux is built. ${OWN_FILES}`,
        { technical: tail(errors) },
      )
    })
  }

  /** Downloads packages into `target`. `onProgress` gets a fraction from 0 to 1. */
  async download(names: readonly string[], target: string, onProgress: (fraction: number) => void): Promise<void> {
    const { code, errors } = await this.#run('apt-get', ['download', '-q', '-o', 'APT::Status-Fd=3', ...names], target, (line) => {
      const percent = /^dlstatus:\d+:([\d.]+):/.exec(line)?.[1]
      if (percent !== undefined) onProgress(Math.min(1, Number(percent) / 100))
    })
    if (code !== 0)
      throw new AppError(
        'unavailable',
        `Debian’s packages could not be downloaded. Check the network and the system’s package sources, then try again. ${OWN_FILES}`,
        { technical: tail(errors) },
      )
  }

  async #prepare(): Promise<void> {
    for (const folder of ['lists/partial', 'cache/archives/partial']) await mkdir(join(this.#folder, folder), { recursive: true })
    await writeFile(join(this.#folder, 'status'), '')
    await writeFile(this.#config, configuration(this.#folder, this.#arch))
  }

  get #config(): string {
    return join(this.#folder, 'apt.conf')
  }

  #run(
    program: string,
    args: readonly string[],
    cwd = this.#folder,
    onStatus?: (line: string) => void,
  ): Promise<{ code: number; output: string; errors: string }> {
    return new Promise((resolve, reject) => {
      this.#signal?.throwIfAborted()
      // The configuration file comes first: it is read after the system's and before options.
      const child = spawn(program, [`--config-file=${this.#config}`, ...args], {
        cwd,
        env: { ...process.env, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' },
        stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
        // Its own process group, so that its download helpers end with it.
        detached: true,
      })
      const stop = (): void => {
        if (child.pid !== undefined) signalGroup(child.pid, 'SIGTERM')
      }
      this.#signal?.addEventListener('abort', stop, { once: true })
      let output = ''
      let errors = ''
      child.stdout!.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-MAX_OUTPUT)))
      child.stderr!.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-MAX_OUTPUT)))
      let pending = ''
      const status = child.stdio[3] as import('node:stream').Readable
      status.setEncoding('utf8').on('data', (text: string) => {
        const lines = (pending + text).split('\n')
        pending = lines.pop()!.slice(-MAX_OUTPUT)
        for (const line of lines) onStatus?.(line)
      })
      const finish = (): void => this.#signal?.removeEventListener('abort', stop)
      child.once('error', (error: NodeJS.ErrnoException) => {
        finish()
        reject(error.code === 'ENOENT' ? noApt(program) : error)
      })
      child.once('close', (code) => {
        finish()
        if (this.#signal?.aborted) reject(AppError.cancelled())
        else resolve({ code: code ?? 1, output, errors: errors || output })
      })
    })
  }
}

/** Ends every sentence about packages that cannot be had. */
export const OWN_FILES = 'A kernel, ISO or disk image of your own works the same.'

function noApt(program: string): AppError {
  return new AppError(
    'unavailable',
    `Coppice Linux is put together from Debian’s packages by apt, which is not on this computer. ${OWN_FILES}`,
    { subject: program },
  )
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // It has ended by itself.
  }
}

/** apt.conf(5). Lists are cleared before they are set, since apt would append; hooks of the system must not run for our lists. */
function configuration(folder: string, arch: DebianArch): string {
  const quoted = (text: string): string => `"${text.replaceAll('"', '%22')}"`
  return [
    '#clear APT::Architectures;',
    '#clear APT::Update::Pre-Invoke;',
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    '#clear DPkg::Pre-Invoke;',
    '#clear DPkg::Post-Invoke;',
    `APT::Architecture "${arch}";`,
    `APT::Architectures { "${arch}"; };`,
    `Dir::State ${quoted(folder)};`,
    `Dir::State::Lists ${quoted(join(folder, 'lists'))};`,
    `Dir::State::status ${quoted(join(folder, 'status'))};`,
    `Dir::Cache ${quoted(join(folder, 'cache'))};`,
    // The sandbox user of a root's apt could not write into a folder of ours.
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    'Dpkg::Use-Pty "0";',
    '',
  ].join('\n')
}

/** Records of `apt-cache show` (deb-control(5)); of several for one package the first, which is the candidate. */
export function parseRecords(text: string): PackageRecord[] {
  const records: PackageRecord[] = []
  for (const paragraph of text.split(/\n{2,}/)) {
    const fields = new Map<string, string>()
    for (const line of paragraph.split('\n')) {
      const match = /^([A-Za-z0-9-]+): (.*)$/.exec(line)
      if (match) fields.set(match[1]!, match[2]!)
    }
    const name = fields.get('Package')
    const version = fields.get('Version')
    if (name === undefined || version === undefined || records.some((record) => record.name === name)) continue
    const depends = (fields.get('Depends') ?? '').split(',').map((one) => one.trim().split(/[\s(|:]/, 1)[0]!)
    records.push({ name, version, depends: depends.filter((one) => one !== ''), size: Number(fields.get('Size') ?? 0) })
  }
  return records
}

function tail(text: string): string {
  return text.trim().split('\n').slice(-20).join('\n')
}
