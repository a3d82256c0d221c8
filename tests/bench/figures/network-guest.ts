/**
 * What a guest moves through its network, to and from a server on this computer's loopback, at MTU 1500: one on QEMU through Coppice's own NAT, as it comes (with captures and
 * watching), beside the same guest on the same QEMU with QEMU's own user NAT, alternating; and one of the embedded engine, whose ceiling is its emulated processor.
 */
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { MiB } from '../../../src-shared/base/units.ts'
import { BOOT_COMPLETE_MARK } from '../../../src-shared/model/boot-mark.ts'
import { collect } from '../../guest/support/exec.ts'
import type { Figure } from '../figure.ts'
import { BareQemu } from '../support/bare-qemu.ts'
import { benchHost, type BenchHost } from '../support/bench-host.ts'
import { qemuRecord } from '../support/shown-machine.ts'

const RUNS = 5
/** Bytes of one run. */
const AMOUNT = { qemu: 128 * MiB, embedded: 32 * MiB } as const
/** Where QEMU's user NAT has the host's loopback. */
const SLIRP_HOST = '10.0.2.2'
const NETWORK = 'default'
/** Another, with the largest packets. QEMU's user NAT has no other MTU than 1500. */
const WIDE = { name: 'wide', mtu: 65_520, hostAccess: true } as const
/** What the guest on QEMU is compared with, and its processor; null: the one that Coppice gives it. */
const ANCHORS: readonly [name: string, cpu: string | null][] = [
  ['QEMU’s own user NAT, the same processor', null],
  ['QEMU’s own user NAT, -cpu max', 'max'],
]

type Direction = 'out' | 'in'
const DIRECTIONS: Record<Direction, string> = { out: 'out of the guest', in: 'into the guest' }

/** Runs a script in a guest; what it prints. */
type Shell = (script: string) => Promise<string>

export async function networkGuestFigures(): Promise<Figure[]> {
  const worker = new Worker(new URL('../support/paced-ends.thread.ts', import.meta.url))
  const port = await new Promise<number>((resolve) => worker.once('message', resolve))
  try {
    return [...(await qemuFigures(port)), ...(await embeddedFigures(port))]
  } finally {
    await worker.terminate()
  }
}

async function qemuFigures(port: number): Promise<Figure[]> {
  const host = await benchHost({ engine: 'qemu' })
  const bares: BareQemu[] = []
  try {
    const { shell, gateway } = await networked(host)
    const { spec } = (await qemuRecord(host.id))!
    const others: { name: string; shell: Shell }[] = []
    for (const [name, cpu] of ANCHORS) {
      const bare = await BareQemu.start(spec, path.join(host.folder, `bare${bares.length}`), { netdev: 'user', cpu })
      bares.push(bare)
      const other = await shellOf(bare)
      await other(`until ping -c 1 -W 1 ${SLIRP_HOST} > /dev/null; do sleep 1; done`)
      others.push({ name, shell: other })
    }
    const figures: Figure[] = []
    const plain: Record<Direction, number[]> = { out: [], in: [] }
    for (const direction of ['out', 'in'] as const) {
      const values: number[] = []
      const anchors = others.map((): number[] => [])
      // The first round warms up and does not count.
      for (let run = 0; run <= RUNS; run++) {
        const ours = await megabits(shell, direction, gateway, port, AMOUNT.qemu)
        if (run > 0) values.push(ours)
        for (const [at, other] of others.entries()) {
          const theirs = await megabits(other.shell, direction, SLIRP_HOST, port, AMOUNT.qemu)
          if (run > 0) anchors[at]!.push(theirs)
        }
      }
      plain[direction] = anchors[0]!
      for (const [at, { name }] of others.entries())
        figures.push({
          ...{ name: `TCP ${DIRECTIONS[direction]}, QEMU, MTU 1500`, unit: 'Mbit/s', values },
          ...{ anchor: { name, values: anchors[at]! }, target: '≥ 1.5×' },
        })
    }
    const pings: [number[], number[]] = [[], []]
    for (let run = 0; run < RUNS; run++) {
      pings[0].push(await pingMs(shell, gateway))
      pings[1].push(await pingMs(others[0]!.shell, SLIRP_HOST))
    }
    figures.push({ name: 'Ping to the gateway, QEMU', unit: 'ms', values: pings[0], anchor: { name: others[0]!.name, values: pings[1] } })
    const wide = await toWide(host, shell)
    for (const direction of ['out', 'in'] as const) {
      const values: number[] = []
      for (let run = 0; run <= RUNS; run++) {
        const rate = await megabits(shell, direction, wide, port, AMOUNT.qemu)
        if (run > 0) values.push(rate)
      }
      const anchor = { name: `${others[0]!.name}, MTU 1500`, values: plain[direction] }
      figures.push({ name: `TCP ${DIRECTIONS[direction]}, QEMU, MTU ${WIDE.mtu}`, unit: 'Mbit/s', values, anchor })
    }
    return figures
  } finally {
    for (const bare of bares) await bare.close()
    await host.close()
  }
}

async function embeddedFigures(port: number): Promise<Figure[]> {
  const host = await benchHost({ engine: 'embedded', memoryMiB: 256 })
  try {
    const { shell, gateway } = await networked(host)
    const figures: Figure[] = []
    for (const direction of ['out', 'in'] as const) {
      const values: number[] = []
      for (let run = 0; run <= RUNS; run++) {
        const rate = await megabits(shell, direction, gateway, port, AMOUNT.embedded)
        if (run > 0) values.push(rate)
      }
      figures.push({ name: `TCP ${DIRECTIONS[direction]}, embedded engine, MTU 1500`, unit: 'Mbit/s', values })
    }
    const pings: number[] = []
    for (let run = 0; run < RUNS; run++) pings.push(await pingMs(shell, gateway))
    figures.push({ name: 'Ping to the gateway, embedded engine', unit: 'ms', values: pings })
    return figures
  } finally {
    await host.close()
  }
}

/** The machine runs, and reaches its network's gateway, whose address is this computer. */
async function networked({ machines, networks, id }: BenchHost): Promise<{ shell: Shell; gateway: string }> {
  await networks.update({ name: NETWORK, patch: { hostAccess: true } })
  const gateway = (await networks.get({ name: NETWORK })).gateway!.ipv4!
  await machines.start({ id })
  await machines.waitBooted({ id })
  const shell: Shell = async (script) => {
    const command = { path: 'sh', args: ['-c', script], env: [], input: false, limitMs: null }
    const { out, err, exitCode } = await collect((await machines.exec({ id, command })).stream)
    if (exitCode !== 0) throw new Error(`The guest’s “${script}” failed: ${err}`)
    return out
  }
  await shell(`until ping -c 1 -W 1 ${gateway} > /dev/null; do sleep 1; done`)
  return { shell, gateway }
}

/** The card is moved there while the machine runs. @returns its gateway, which the machine reaches */
async function toWide({ networks, id }: BenchHost, shell: Shell): Promise<string> {
  await networks.create(WIDE)
  const gateway = (await networks.get({ name: WIDE.name })).gateway!.ipv4!
  await networks.connect({ machine: id, nic: 'nic0', network: WIDE.name })
  await shell(`until grep -q ${WIDE.mtu} /sys/class/net/eth0/mtu && ping -c 1 -W 1 ${gateway} > /dev/null; do sleep 1; done`)
  return gateway
}

/** At its console. */
async function shellOf(qemu: BareQemu): Promise<Shell> {
  await qemu.printed(BOOT_COMPLETE_MARK)
  let number = 0
  return (script) => {
    number++
    // As it is typed, the mark is not what it is as printed.
    return qemu.answer(`( ${script} ); echo "over"-${number}-`, `over-${number}-`)
  }
}

/** The mean of many. */
async function pingMs(shell: Shell, address: string): Promise<number> {
  return Number(/min\/avg\/max = [\d.]+\/([\d.]+)\//.exec(await shell(`ping -q -c 100 -i 0.02 ${address}`))![1])
}

/** `nc` hands its connection to a program, so that no copy of its own, a little at a time, is measured. */
async function megabits(shell: Shell, direction: Direction, address: string, port: number, bytes: number): Promise<number> {
  const count = bytes / 65_536
  const program =
    direction === 'out' ? `dd if=/dev/zero bs=64k count=${count} 2> /dev/null` : `echo pour ${bytes}; dd of=/dev/null bs=64k 2> /dev/null`
  const now = `tr -d . < /proc/uptime | cut -d ' ' -f 1`
  const printed = await shell(
    `printf '#!/bin/sh\\n${program}\\n' > /tmp/move; chmod +x /tmp/move; a=$(${now}); nc ${address} ${port} -e /tmp/move; b=$(${now}); echo took $((b - a))`,
  )
  const hundredths = Number(/took (\d+)/.exec(printed)![1])
  return (bytes * 8) / (hundredths * 1e4)
}
