import type { DiskState } from '../../../../src-shared/api/disks.ts'
import type { MachineView } from '../../../../src-shared/api/machines.ts'
import { formatBytes, MiB } from '../../../../src-shared/base/units.ts'
import { LIVE_KINDS, type LiveHardware, type LiveKind } from '../../../../src-shared/model/live-hardware.ts'
import type { Boot, Drive, MachineConfig } from '../../../../src-shared/model/machine.ts'
import { STATE_WORDS } from '../../../../src-shared/model/machine-state.ts'
import type { Services } from '../services.ts'
import { snapshotFacts } from '../settable-snapshots.ts'
import type { Define } from './index.ts'

/** ms that a guest gets to tell its addresses, before those that it told last are shown. */
const PATIENCE = 3000

export const defineShow: Define = (program, run) => {
  program
    .command('show')
    .description('show everything about a machine')
    .argument('<name>', 'a machine’s name or id')
    .action((name: string) =>
      run(async (cli) => {
        const host = await cli.host()
        const machine = await withAddressesOfNow(host, await cli.machine(host, name))
        const disks = cli.output.json ? [] : await host.disks.list({ machine: machine.id }).catch(() => [])
        cli.output.result(machine, () => cli.output.facts(factsOf(machine, disks)))
      }),
    )
}

/** A guest does not tell by itself that it has another address: it is asked. */
async function withAddressesOfNow(host: Services, machine: MachineView): Promise<MachineView> {
  const { id, agent } = machine
  if (!agent) return machine
  await host.machines.addresses({ id }, { signal: AbortSignal.timeout(PATIENCE) }).catch(() => {})
  return host.machines.get({ id })
}

/** Keys that `set` takes are named as there. */
export function factsOf(machine: MachineView, disks: readonly DiskState[] = []): [string, string][] {
  const facts: [string, string][] = [
    ['name', machine.name],
    ['id', machine.id],
    ['state', [STATE_WORDS[machine.state], machine.health, machine.healthDetail].filter((part) => part !== null).join(', ')],
    ['bundle', machine.bundle],
    ['engine', engineWords(machine)],
  ]
  const when = (key: string, time: string | null): void => {
    if (time !== null) facts.push([key, new Date(time).toLocaleString()])
  }
  when('started', machine.startedAt)
  when('booted', machine.bootedAt)
  when('suspended', machine.suspendedAt)
  for (const { nic, name, addresses } of machine.interfaces) facts.push([`address ${nic ?? name}`, addresses.join(', ')])
  if (machine.problem) facts.push(['problem', machine.problem.message])
  if (machine.lastError) facts.push(['last error', machine.lastError.message])
  if (machine.config?.vncExport.enabled) facts.push(['vnc', vncWords(machine)])
  if (machine.config) facts.push(...configFacts(machine.config, disks))
  if (machine.live) facts.push(['changes now', liveWords(machine.live)])
  return facts
}

/** What `set` can change of the machine while it runs. */
function liveWords({ why, memoryMiB, cpus, leaving }: LiveHardware): string {
  const can = LIVE_KINDS.filter((kind) => why[kind] === null).map((kind) => LIVE_WORDS[kind])
  if (why.memory === null) can.push(`memory ${formatBytes(memoryMiB.min * MiB)} to ${formatBytes(memoryMiB.max * MiB)}`)
  if (why.cpus === null) can.push(`up to ${cpus.max} cpus`)
  const waits = leaving.length > 0 ? `; the guest has not released ${leaving.join(', ')}` : ''
  return `${[...new Set(can)].filter((word) => word !== '').join(', ') || 'nothing of its hardware'}${waits}`
}

/** Keys of `set`. Empty: said with its bounds. */
const LIVE_WORDS: Record<LiveKind, string> = {
  cdrom: 'cd',
  floppy: 'floppy',
  addDisk: 'disk',
  removeDisk: 'disk',
  limits: 'limits',
  growDisk: '',
  addNic: 'nic',
  removeNic: 'nic',
  link: 'link',
  memory: '',
  cpus: '',
  pointer: 'pointer',
}

function vncWords({ vnc, config }: MachineView): string {
  const port = config?.vncExport.port ?? null
  return vnc?.address ?? vnc?.problem?.message ?? (port === null ? 'on, when it runs' : `on, port ${port} when it runs`)
}

function engineWords({ engine, engineVersion, accelerator, why }: MachineView): string {
  const name = [engineVersion === null ? engine : `${engine} ${engineVersion}`, accelerator].filter((part) => part !== null).join(', ')
  return why === '' ? name : `${name} (${why})`
}

function configFacts(config: MachineConfig, disks: readonly DiskState[]): [string, string][] {
  const facts: [string, string][] = [
    ['arch', config.arch],
    ['cpus', String(config.cpus)],
    ['memory', formatBytes(config.memoryMiB * MiB)],
    ...bootFacts(config.boot),
  ]
  // What is left to Coppice is not worth a line.
  if (config.template) facts.push(['template', 'yes; it does not start'])
  if (config.private) facts.push(['private', 'yes; what its network cards send and receive is not kept'])
  if (config.firmware !== 'bios') facts.push(['firmware', config.firmware])
  if (config.tpm) facts.push(['tpm', 'on'])
  if (config.devices !== 'auto') facts.push(['devices', config.devices])
  if (config.display !== 'auto') facts.push(['display', config.display])
  for (const drive of config.drives) {
    const disk = disks.find((one) => one.drive === drive.id)
    facts.push([drive.id, [driveWords(drive), ...(disk?.measure || disk?.problem ? [roomWords(disk)] : [])].join(', ')])
  }
  if (config.pointer !== 'tablet') facts.push(['pointer', config.pointer])
  for (const { id, model, mac, link, network } of config.nics) {
    const where = network === null ? 'plugged into nothing' : `in ${network}`
    facts.push([id, `network card, ${model}, ${mac}, ${where}${link === 'auto' ? '' : `, link ${link}`}`])
  }
  for (const { tag, path, readOnly } of config.sharedFolders) facts.push([`share ${tag}`, `${path}${readOnly ? ', read-only' : ''}`])
  facts.push(...snapshotFacts(config, formatBytes))
  facts.push(['serial-ports', String(config.serialPorts)])
  if (config.folder.length > 0) facts.push(['folder', config.folder.join('/')])
  if (config.tags.length > 0) facts.push(['tags', config.tags.join(', ')])
  if (config.notes !== '') facts.push(['notes', config.notes])
  facts.push(['created', new Date(config.created).toLocaleString()])
  return facts
}

/** "1.2 GiB of 20 GiB used", or what is wrong. */
function roomWords({ measure, problem }: DiskState): string {
  if (measure) return `${formatBytes(measure.storedBytes + measure.belowBytes)} of ${formatBytes(measure.size)} used`
  return problem?.message ?? ''
}

/** "disk, disks/disk0.qcow2, nvme, read-only" */
function driveWords({ kind, path, readOnly, bus, cache, limits }: Drive): string {
  const words: (string | null | undefined)[] = [kind, path ?? 'empty', bus, cache && `cache ${cache}`]
  if (readOnly && kind === 'disk') words.push('read-only')
  if (limits?.iops !== undefined) words.push(`at most ${limits.iops} operations a second`)
  if (limits?.bytesPerSecond !== undefined) words.push(`at most ${formatBytes(limits.bytesPerSecond)} a second`)
  return words.filter((word) => word !== undefined).join(', ')
}

function bootFacts(boot: Boot): [string, string][] {
  if (boot.kind === 'firmware') return [['boot', boot.order.join(', ')]]
  return [
    ['kernel', boot.kernel],
    ['initrd', boot.initrd ?? 'none'],
    ['cmdline', boot.cmdline],
  ]
}
