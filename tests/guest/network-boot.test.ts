/** Machines that boot from the network, by the firmware that QEMU's cards have (iPXE) and by that of UEFI: their own DHCP and TFTP are what the services are tried with. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { networkSchema } from '../../src-shared/model/network.ts'
import { plugOf, startNetworkThread } from '../integration/support/network-thread.ts'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { noise, seeded } from '../support/seeded.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { until } from '../support/until.ts'

const OVMF = ['CODE', 'VARS'].map((part) => `/usr/share/OVMF/OVMF_${part}_4M.fd`) as [string, string]
const LARGE = 2_000_000

/** @returns what the machine wrote on its console until it says `last` */
async function boot(args: (folder: string) => string[], last: RegExp): Promise<{ text: string; leases: string[] }> {
  const folder = await tempFolder()
  const { api } = startNetworkThread()
  await writeFile(
    path.join(folder, 'boot.ipxe'),
    '#!ipxe\necho BOOTED ${net0/ip} ${net0/gateway} ${net0/dns} ${net0/domain}\nimgfetch tftp://${net0/next-server}/large && imgstat\necho DONE\n',
  )
  await writeFile(path.join(folder, 'large'), noise(seeded(1), LARGE))
  const network = networkSchema.parse({
    name: 'lab',
    kind: 'host-only',
    ipv4: '10.9.0.0/24',
    tftp: folder,
    dhcp: { router: '10.9.0.254', bootFile: 'boot.ipxe' },
  })
  await api.configure({ networks: [network], routers: [], names: {} })
  const socket = path.join(folder, 'nic')
  const plug = plugOf(1, 'lab', { kind: 'unix', path: socket })
  await api.plug(plug)
  const child = spawn(
    QEMU_PROGRAM!,
    [
      '-accel',
      'tcg',
      '-nographic',
      '-no-reboot',
      '-netdev',
      `stream,id=n0,server=on,addr.type=unix,addr.path=${socket}`,
      ...args(folder),
    ].map((arg) => arg.replace('MAC', plug.mac)),
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    // Without what moves the cursor.
    // eslint-disable-next-line no-control-regex -- that is what it is
    text = (text + part).replace(/\u001b\[[0-9;?=]*[A-Za-z]|\r/g, '')
  })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  await until(() => last.test(text) || child.exitCode !== null)
  const leases = await api.leases({ network: 'lab' })
  return { text, leases: leases.map(({ mac, address }) => `${mac === plug.mac} ${address}`) }
}

describe.skipIf(!QEMU_PROGRAM && !process.env['CI'])('a machine boots from the network', () => {
  it('by iPXE, with all that it is told', async () => {
    const { text, leases } = await boot(() => ['-m', '64', '-boot', 'n', '-device', 'e1000,netdev=n0,mac=MAC'], /DONE|error/)
    expect(text).toContain('BOOTED 10.9.0.2 10.9.0.254 10.9.0.1 lab.internal')
    expect(text).toContain(`large : ${LARGE} bytes`)
    expect(leases).toEqual(['true 10.9.0.2'])
  })

  it.skipIf(!OVMF.every((file) => existsSync(file)) && !process.env['CI'])('by UEFI', async () => {
    const { text } = await boot(
      () => [
        ...['-machine', 'q35', '-m', '256', '-device', 'virtio-net-pci,romfile=,netdev=n0,mac=MAC'],
        ...['-drive', `if=pflash,format=raw,readonly=on,file=${OVMF[0]}`, '-drive', `if=pflash,format=raw,snapshot=on,file=${OVMF[1]}`],
      ],
      // A script is nothing that it can run, but it has come.
      /NBP file downloaded successfully|PXE-E|failed to load .*PXE/,
    )
    expect(text).toContain('Station IP address is 10.9.0.2')
    expect(text).toContain('Server IP address is 10.9.0.1')
    expect(text).toContain('NBP filename is boot.ipxe')
    expect(text).toContain('NBP file downloaded successfully')
  })
})
