/** What Doctor says of QEMU: whether it is there, what makes it fast, and what it has for UEFI and TPMs. What only QEMU needs is not asked for without it. */
import { readFile } from 'node:fs/promises'
import { NO_QEMU, type AcceleratorFact, type QemuFacts, type QemuProgram } from '../../../src-shared/model/engine-facts.ts'
import type { Arch } from '../../../src-shared/model/machine.ts'
import type { Check, Finding } from './check.ts'
import { installAdvice, type Missing } from './install-advice.ts'

/** The oldest QEMU that has all that Coppice needs: 7.2, the first with network cards over sockets. */
const NEEDED = 'netdev-stream'

const GUESTS: Record<Arch, string> = {
  i386: '32-bit x86',
  x86_64: '64-bit x86',
  aarch64: '64-bit ARM',
  riscv64: '64-bit RISC-V',
}

export interface Platform {
  platform: NodeJS.Platform
  /** Content of /etc/os-release. */
  osRelease: string
}

/** Pure. */
export function qemuFinding({ found, programs, accelerators, tried }: QemuFacts, system: Platform): Finding {
  if (!found) {
    const failed = tried.find((line) => line.includes(': It '))
    return {
      state: failed === undefined ? 'info' : 'warning',
      detail:
        failed === undefined
          ? 'QEMU is not installed. 32-bit x86 machines run on the embedded engine; others, and faster ones, need QEMU.'
          : `A QEMU is there, but cannot be used. “${failed.replace(': It ', '”: it ')}`,
      advice: advise('qemu', system),
    }
  }
  const guests = list(programs.map(({ arch }) => GUESTS[arch]))
  const versions = [...new Set(programs.map(({ version }) => version))].join(', ')
  const detail = `QEMU ${versions} runs ${guests} guests.`
  const old = programs.filter(({ features }) => !features.includes(NEEDED))
  if (old.length > 0)
    return {
      state: 'warning',
      detail: `${detail} Coppice needs at least 7.2: ${list(old.map(({ path }) => `“${path}”`))} ${old.length === 1 ? 'is' : 'are'} too old.`,
      advice: `Update QEMU. ${advise('qemu', system)}`,
    }
  const tcg = accelerators.find(({ name }) => name === 'tcg')
  if (!accelerators.some(({ usable }) => usable))
    return { state: 'warning', detail: `${detail} ${tcg?.detail ?? ''}`.trimEnd(), advice: tcg?.advice ?? advise('qemu', system) }
  return { state: 'ok', detail: `${detail} ${placeOf(programs)}` }
}

/** Null without QEMU, and on systems that have none. Pure. */
export function accelerationFinding({ found, accelerators }: QemuFacts): Finding | null {
  const hardware = accelerators.filter(({ name }) => name !== 'tcg')
  if (!found || hardware.length === 0) return null
  const best = hardware.find(({ usable }) => usable)
  if (best) return { state: 'ok', detail: `${best.detail} It is for ${list(best.arches.map((arch) => GUESTS[arch]))} guests.` }
  const { detail, advice } = hardware[0] as AcceleratorFact
  return { state: 'warning', detail, ...(advice === null ? {} : { advice }) }
}

/** Null without QEMU. Pure. */
export function uefiFinding({ found, programs, firmware }: QemuFacts, system: Platform): Finding | null {
  if (!found) return null
  const arches = programs.map(({ arch }) => arch)
  const having = (kind: 'uefi' | 'uefi-secure'): Arch[] =>
    arches.filter((arch) => firmware.some((one) => one.arch === arch && one.kind === kind))
  const uefi = having('uefi')
  if (uefi.length === 0)
    return { state: 'info', detail: 'There is no UEFI firmware: only PCs with a BIOS can be had.', advice: advise('uefi', system) }
  const secure = having('uefi-secure')
  const detail = `Machines can have UEFI: ${list(uefi.map((arch) => GUESTS[arch]))}. Secure Boot: ${secure.length === 0 ? 'none' : list(secure.map((arch) => GUESTS[arch]))}.`
  // ARM has no other firmware.
  if (arches.includes('aarch64') && !uefi.includes('aarch64'))
    return { state: 'info', detail: `${detail} ARM machines cannot start without it.`, advice: advise('uefi', system) }
  return { state: 'ok', detail }
}

/** Null without QEMU. Pure. */
export function tpmFinding({ found, swtpm }: QemuFacts, system: Platform): Finding | null {
  if (!found) return null
  if (swtpm !== null) return { state: 'ok', detail: `Machines can have a TPM 2.0, by “${swtpm}”.` }
  if (system.platform === 'win32')
    return { state: 'info', detail: 'Machines cannot have a TPM here: swtpm, which plays it, is not made for Windows.' }
  return { state: 'info', detail: 'Machines cannot have a TPM: swtpm, which plays it, is not installed.', advice: advise('swtpm', system) }
}

const here = async (): Promise<Platform> => ({
  platform: process.platform,
  osRelease: await readFile('/etc/os-release', 'utf8').catch(() => ''),
})

// That the search failed is said once, by the first of the checks.
const orNone = (qemu: () => Promise<QemuFacts>): Promise<QemuFacts> => qemu().catch(() => NO_QEMU)

const check = (id: string, title: string, look: Check['look']): Check => ({ id, group: 'engines', title, look })

export const QEMU_CHECKS: readonly Check[] = [
  check('qemu', 'QEMU', async ({ qemu }) => qemuFinding(await qemu(), await here())),
  check('acceleration', 'Acceleration', async ({ qemu }) => accelerationFinding(await orNone(qemu))),
  check('uefi', 'UEFI', async ({ qemu }) => uefiFinding(await orNone(qemu), await here())),
  check('tpm', 'TPM', async ({ qemu }) => tpmFinding(await orNone(qemu), await here())),
]

function advise(missing: Missing, { platform, osRelease }: Platform): string {
  return installAdvice(missing, platform, osRelease)
}

function placeOf(programs: readonly QemuProgram[]): string {
  const folders = [...new Set(programs.map(({ path }) => path.replace(/[\\/][^\\/]*$/, '')))]
  return `It is in ${list(folders.map((folder) => `“${folder}”`))}.`
}

/** "a, b and c" */
function list(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}
