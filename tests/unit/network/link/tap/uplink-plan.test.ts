import { mkdir, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { planUplink } from '../../../../../src-main/network/link/tap/uplink-plan.ts'
import { tempFolder } from '../../../../support/temp-folder.ts'

/** What /sys and /proc of a Linux say: a bridge with a card in it, a card that is alone, a TAP and a TUN device. */
async function system(route: string | null): Promise<string> {
  const root = await tempFolder()
  const net = path.join(root, 'sys/class/net')
  for (const folder of ['br0/bridge', 'eth0/brport', 'eth1', 'tap0', 'tun0']) await mkdir(path.join(net, folder), { recursive: true })
  await symlink('../br0', path.join(net, 'eth0/master'))
  await writeFile(path.join(net, 'tap0/tun_flags'), '0x1002\n')
  await writeFile(path.join(net, 'tun0/tun_flags'), '0x1001\n')
  await mkdir(path.join(root, 'proc/net'), { recursive: true })
  const header = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n'
  if (route !== null) await writeFile(path.join(root, 'proc/net/route'), header + route)
  return root
}

test('a bridge, a card in one, and a device that was made for us', async () => {
  const root = await system(
    'eth1\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\neth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n',
  )
  expect(planUplink('br0', root)).toEqual({ kind: 'bridge', bridge: 'br0' })
  expect(planUplink('eth0', root)).toEqual({ kind: 'bridge', bridge: 'br0' })
  expect(planUplink('tap0', root)).toEqual({ kind: 'tap', device: 'tap0' })
  expect(planUplink(null, root)).toEqual({ kind: 'bridge', bridge: 'br0' })
})

test('what cannot be joined is said, with what to do', async () => {
  const root = await system('eth1\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n')
  for (const card of [null, 'eth1'])
    expect(() => planUplink(card, root)).toThrow(/“eth1” belongs to no bridge.*Have an administrator make one/)
  expect(() => planUplink('tun0', root)).toThrow(/“tun0” belongs to no bridge/)
  expect(() => planUplink('eth9', root)).toThrow('This computer has no network card “eth9”.')
  const without = await system(null)
  expect(() => planUplink(null, without)).toThrow(/no network card with a default route/)
})
