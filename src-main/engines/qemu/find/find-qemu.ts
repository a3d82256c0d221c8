/**
 * Finds QEMU and judges it. Programs that are there are asked what they are, firmware and companions are looked for, and accelerators are tried
 * by speed: /dev/kvm may be there and useless. What was learnt of a program is kept until it changes (cache.ts), so that the usual search
 * runs nothing and takes a few milliseconds.
 */
import { MAX_TRIED, NO_QEMU, type AcceleratorFact, type QemuFacts } from '../../../../src-shared/model/engine-facts.ts'
import { ARCHES, type Arch } from '../../../../src-shared/model/machine.ts'
import type { Accelerator } from '../../../../src-shared/model/machine-spec.ts'
import { entryKey, heldProbe, readCache, writeCache, type CacheEntry, type ProbeRecord } from './cache.ts'
import { pathsOf, thisComputer, type Computer } from './computer.ts'
import { findFirmware } from './firmware.ts'
import { hostEvidence } from './host-evidence.ts'
import { hardwareAccelerator, judgeHardware, judgeTcg, nativeArches, type Untried } from './judge.ts'
import { programFolders, programName, qemuNames } from './places.ts'
import { canProbe, probe } from './probe/probe.ts'
import { readProgram } from './read-program.ts'
import { runProgram, type RunProgram } from './run-program.ts'

/** ms in which an accelerator's probe has to be done: what works needs some 20 ms, what is useless never ends. */
const PROBE_LIMIT = 1000
/** A computer that is busy is slow with everything: as long as TCG took, so many times over, may it take too. */
const PROBE_LIMIT_IN_TCG = 4
/** ms for TCG, which only has to work. */
const TCG_LIMIT = 15_000

export interface FindOptions {
  /** The app's own resources. */
  resources: string
  cacheFolder: string
  /** Asks and tries everything anew. */
  refresh: boolean
}

const underWay = new Map<string, Promise<QemuFacts>>()

/** Never rejects for what is on this computer. Who asks while the same search is on gets its answer. */
export function findQemu(options: FindOptions): Promise<QemuFacts> {
  const key = JSON.stringify(options)
  const search = underWay.get(key) ?? searchQemu(options, thisComputer(), runProgram).finally(() => underWay.delete(key))
  underWay.set(key, search)
  return search
}

/** The search itself, on any computer. */
export async function searchQemu(
  { resources, cacheFolder, refresh }: FindOptions,
  computer: Computer,
  run: RunProgram,
): Promise<QemuFacts> {
  const folders = programFolders(computer, resources)
  const before = refresh ? new Map<string, CacheEntry>() : await readCache(cacheFolder, computer)
  const { entries, tried } = await findPrograms(folders, computer, run, before)
  const companion = async (name: string): Promise<string | null> => {
    const { join } = pathsOf(computer)
    const paths = folders.map((folder) => join(folder, programName(name, computer.platform)))
    return first(paths, (path) => computer.files.isProgram(path))
  }
  const [swtpm, qemuImg] = await Promise.all([companion('swtpm'), companion('qemu-img')])
  if (entries.length === 0) return { ...NO_QEMU, tried, swtpm, qemuImg }

  const programs = entries.map(({ program }) => program)
  const firmware = await findFirmware(
    computer,
    programs.map(({ path }) => path),
  )
  const accelerators = await judgeAccelerators(entries, computer, run)
  if (entries.some((entry) => before.get(entry.key) !== entry)) await writeCache(cacheFolder, computer.id, entries)
  return { found: true, tried, programs, accelerators, firmware, swtpm, qemuImg }
}

async function findPrograms(
  folders: readonly string[],
  computer: Computer,
  run: RunProgram,
  before: ReadonlyMap<string, CacheEntry>,
): Promise<{ entries: CacheEntry[]; tried: string[] }> {
  const { join } = pathsOf(computer)
  const refusals: string[] = []
  const ask = async (path: string, arch: Arch): Promise<CacheEntry | null> => {
    const facts = await computer.files.facts(path)
    if (!facts) return null
    const key = entryKey(path, arch, facts)
    const known = before.get(key)
    if (known) return known
    const answer = await readProgram(path, arch, run)
    if (typeof answer !== 'string') return { key, ...answer, probes: {} }
    refusals.push(`${path}: ${answer}`)
    return null
  }
  const find = async ({ arch, name }: { arch: Arch; name: string }): Promise<CacheEntry | null> => {
    // The same program by another way (/bin and /usr/bin) is asked once.
    const asked = new Set<string>()
    for (const folder of folders) {
      const path = join(folder, name)
      if (!(await computer.files.isProgram(path))) continue
      const real = await computer.files.real(path)
      if (asked.has(real)) continue
      asked.add(real)
      const entry = await ask(path, arch)
      if (entry) return entry
    }
    return null
  }
  const found = await Promise.all(qemuNames(computer.platform).map(find))
  const entries = found.filter((entry) => entry !== null)
  const tried = [...entries.map(({ program }) => `${program.path}: QEMU ${program.version}`), ...refusals, ...folders]
  return { entries, tried: tried.slice(0, MAX_TRIED) }
}

/** Best first. What was tried is put into copies of the entries, in their places. */
async function judgeAccelerators(entries: CacheEntry[], computer: Computer, run: RunProgram): Promise<AcceleratorFact[]> {
  const ofArch = (arch: Arch | undefined): number => entries.findIndex(({ program }) => program.arch === arch)
  const canTry = (at: number, accelerator: Accelerator): boolean =>
    at >= 0 && entries[at]!.accelerators.includes(accelerator) && canProbe(entries[at]!.program.arch)
  const tryOut = async (at: number, accelerator: Accelerator, limit: number): Promise<ProbeRecord> => {
    const entry = entries[at]!
    const now = Date.now()
    const held = heldProbe(entry, accelerator, now)
    if (held) return held
    const result = await probe(entry.program, accelerator, limit, run)
    const record = { at: now, result, evidence: result.kind === 'works' ? null : await hostEvidence(computer, run) }
    entries[at] = { ...entry, probes: { ...entry.probes, [accelerator]: record } }
    return record
  }

  const native = ofArch(nativeArches(computer.arch)[0])
  const tcgAt = [native, ...ARCHES.map(ofArch)].find((at) => canTry(at, 'tcg'))
  const tcg = tcgAt === undefined ? null : (await tryOut(tcgAt, 'tcg', TCG_LIMIT)).result

  const name = hardwareAccelerator(computer.platform)
  const facts: AcceleratorFact[] = []
  if (name !== null) {
    const limit = Math.max(PROBE_LIMIT, PROBE_LIMIT_IN_TCG * (tcg?.kind === 'works' ? tcg.ms : 0))
    const why = await whyUntried(name, native < 0 ? null : canTry(native, name), computer)
    const { result, evidence } =
      why === null
        ? await tryOut(native, name, limit)
        : { result: { kind: 'untried' as const, why }, evidence: name === 'kvm' ? await hostEvidence(computer, run) : null }
    facts.push(judgeHardware(name, computer.arch, result, evidence))
  }
  const withTcg = entries.filter(({ accelerators }) => accelerators.includes('tcg')).map(({ program }) => program.arch)
  return withTcg.length > 0 ? [...facts, judgeTcg(tcg, withTcg)] : facts
}

/** @param built whether the program for this processor has it; null where that program is missing */
async function whyUntried(name: Accelerator, built: boolean | null, { files }: Computer): Promise<Untried | null> {
  if (built === null) return 'no-program'
  if (!built) return 'not-built'
  if (name !== 'kvm') return null
  const access = await files.access('/dev/kvm')
  return access === 'yes' ? null : access === 'no' ? 'no-rights' : 'no-device'
}

async function first<T>(items: readonly T[], holds: (item: T) => Promise<boolean>): Promise<T | null> {
  for (const item of items) if (await holds(item)) return item
  return null
}
