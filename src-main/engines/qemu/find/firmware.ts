/**
 * The firmware that machines can have, from the descriptions that packages install beside it (QEMU's docs/interop/firmware.json), and from
 * well-known places where a system has no descriptions. A description of the same file name in a stronger folder takes the place of others, an
 * empty one takes it away; of those that remain the first by name is the best.
 */
import { z } from 'zod'
import { MAX_FIRMWARE, type FirmwareFact } from '../../../../src-shared/model/engine-facts.ts'
import { ARCHES, type Arch } from '../../../../src-shared/model/machine.ts'
import { KiB, MiB } from '../../../../src-shared/base/units.ts'
import { pathsOf, type Computer } from './computer.ts'
import { dataFolders, descriptorFolders } from './places.ts'

/** Bytes of a description. */
const MAX_DESCRIPTION = 64 * KiB
/** Descriptions that are read in a folder. */
const MAX_DESCRIPTIONS = 100
/** Bytes of a firmware file: more than the flash of QEMU's boards holds. */
const MAX_IMAGE = 256 * MiB

const file = z.looseObject({ filename: z.string().min(1).max(4096), format: z.string().default('raw') })
const descriptionSchema = z.looseObject({
  'interface-types': z.array(z.string()).max(10),
  mapping: z.discriminatedUnion('device', [
    z.looseObject({ device: z.literal('flash'), mode: z.string().default('split'), executable: file, 'nvram-template': file.optional() }),
    z.looseObject({ device: z.literal('memory'), filename: z.string().min(1).max(4096) }),
  ]),
  targets: z.array(z.looseObject({ architecture: z.string() })).max(20),
  features: z.array(z.string()).max(100),
})
type Description = z.output<typeof descriptionSchema>

/** @param programs paths of the QEMUs that were found */
export async function findFirmware(computer: Computer, programs: readonly string[]): Promise<FirmwareFact[]> {
  const described = await readDescriptions(computer, descriptorFolders(computer, programs))
  const candidates = [...described, ...wellKnown(computer, programs)]
  const found = new Map<string, FirmwareFact>()
  for (const candidate of candidates) {
    if (found.size === MAX_FIRMWARE) break
    const key = JSON.stringify([candidate.arch, candidate.kind, candidate.code, candidate.vars])
    if (!found.has(key) && (await isThere(computer, candidate))) found.set(key, candidate)
  }
  // What every QEMU can open comes first; else the order stays.
  return [...found.values()].sort((a, b) => Number(a.format === 'qcow2') - Number(b.format === 'qcow2'))
}

async function isThere({ files }: Computer, { code, vars }: FirmwareFact): Promise<boolean> {
  const facts = await Promise.all([code, ...(vars === null ? [] : [vars])].map((path) => files.facts(path)))
  return facts.every((one) => one !== null && one.bytes > 0 && one.bytes <= MAX_IMAGE)
}

async function readDescriptions(computer: Computer, folders: readonly string[]): Promise<FirmwareFact[]> {
  const { join } = pathsOf(computer)
  const places = new Map<string, string>()
  for (const folder of folders) {
    const names = (await computer.files.list(folder)).filter((name) => name.endsWith('.json')).slice(0, MAX_DESCRIPTIONS)
    for (const name of names) if (!places.has(name)) places.set(name, folder)
  }
  const byName = [...places].sort(([a], [b]) => (a < b ? -1 : 1))
  const facts: FirmwareFact[] = []
  for (const [name, folder] of byName) {
    const text = await computer.files.read(join(folder, name), MAX_DESCRIPTION)
    const description = text === null ? null : parseDescription(text)
    if (!description) continue
    for (const fact of firmwareOf(description)) facts.push(await inPlace(computer, fact, join(folder, '..')))
  }
  return facts
}

/** Null for what is none; the empty file, which masks another, is one of these. Pure. */
export function parseDescription(text: string): Description | null {
  try {
    return descriptionSchema.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}

/**
 * What Coppice can use of a description. Not used: images that keep code and variables in one file, firmware for confidential guests (loaded
 * into memory), and Secure Boot without keys, which protects nobody and yet needs SMM. Pure.
 */
export function firmwareOf({ 'interface-types': interfaces, mapping, targets, features }: Description): FirmwareFact[] {
  const arches = new Set(targets.map(({ architecture }) => architecture).filter((one): one is Arch => ARCHES.includes(one as Arch)))
  const facts = (fact: Omit<FirmwareFact, 'arch'>): FirmwareFact[] => [...arches].map((arch) => ({ arch, ...fact }))
  if (mapping.device === 'memory')
    return interfaces.includes('bios') ? facts({ kind: 'bios', code: mapping.filename, vars: null, format: 'raw' }) : []
  if (!interfaces.includes('uefi') || !['split', 'stateless'].includes(mapping.mode)) return []
  const secure = features.includes('secure-boot')
  if (secure ? !features.includes('enrolled-keys') : features.includes('requires-smm')) return []
  const template = mapping['nvram-template']
  if (mapping.mode === 'split' && !template) return []
  const { format } = mapping.executable
  if ((format !== 'raw' && format !== 'qcow2') || (template && template.format !== format)) return []
  return facts({ kind: secure ? 'uefi-secure' : 'uefi', code: mapping.executable.filename, vars: template?.filename ?? null, format })
}

/**
 * Descriptions name files where they were when QEMU was built: packages for Windows are installed elsewhere. There, and for relative names, the
 * files lie beside the folder of the descriptions.
 */
async function inPlace(computer: Computer, fact: FirmwareFact, data: string): Promise<FirmwareFact> {
  const { join, isAbsolute } = pathsOf(computer)
  const place = async (path: string): Promise<string> => {
    if (isAbsolute(path) && (await computer.files.facts(path))) return path
    return join(data, path.split(/[\\/]/).at(-1) ?? path)
  }
  return { ...fact, code: await place(fact.code), vars: fact.vars === null ? null : await place(fact.vars) }
}

/** Files of QEMU itself, in its data folder. */
const OF_QEMU: readonly [Arch, FirmwareFact['kind'], string, string | null][] = [
  ['x86_64', 'uefi', 'edk2-x86_64-code.fd', 'edk2-i386-vars.fd'],
  ['i386', 'uefi', 'edk2-i386-code.fd', 'edk2-i386-vars.fd'],
  ['aarch64', 'uefi', 'edk2-aarch64-code.fd', 'edk2-arm-vars.fd'],
  ['riscv64', 'uefi', 'edk2-riscv-code.fd', 'edk2-riscv-vars.fd'],
  ['x86_64', 'bios', 'bios-256k.bin', null],
  ['i386', 'bios', 'bios-256k.bin', null],
]
/** Of distributions: Debian and Ubuntu, Fedora, Arch. */
const OF_PACKAGES: readonly [Arch, FirmwareFact['kind'], string, string | null][] = [
  ['x86_64', 'uefi', '/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  ['x86_64', 'uefi', '/usr/share/OVMF/OVMF_CODE.fd', '/usr/share/OVMF/OVMF_VARS.fd'],
  ['x86_64', 'uefi', '/usr/share/edk2/ovmf/OVMF_CODE.fd', '/usr/share/edk2/ovmf/OVMF_VARS.fd'],
  ['x86_64', 'uefi', '/usr/share/edk2/x64/OVMF_CODE.4m.fd', '/usr/share/edk2/x64/OVMF_VARS.4m.fd'],
  ['x86_64', 'uefi-secure', '/usr/share/OVMF/OVMF_CODE_4M.ms.fd', '/usr/share/OVMF/OVMF_VARS_4M.ms.fd'],
  ['aarch64', 'uefi', '/usr/share/AAVMF/AAVMF_CODE.fd', '/usr/share/AAVMF/AAVMF_VARS.fd'],
  ['riscv64', 'uefi', '/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd', '/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd'],
  ['x86_64', 'bios', '/usr/share/seabios/bios-256k.bin', null],
  ['i386', 'bios', '/usr/share/seabios/bios-256k.bin', null],
]

function wellKnown(computer: Computer, programs: readonly string[]): FirmwareFact[] {
  const { join } = pathsOf(computer)
  const ofPackages = computer.platform === 'linux' ? OF_PACKAGES : []
  const ofQemu = dataFolders(computer, programs).flatMap((folder) =>
    OF_QEMU.map(([arch, kind, code, vars]) => [arch, kind, join(folder, code), vars === null ? null : join(folder, vars)] as const),
  )
  return [...ofPackages, ...ofQemu].map(([arch, kind, code, vars]) => ({ arch, kind, code, vars, format: 'raw' as const }))
}
