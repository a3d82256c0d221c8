/**
 * ISC's dhclient, unmodified, as a machine's in a NAT network (kernel-card.ts), which notes what it is told. To be run in a network namespace of its own; its files are in
 * the folder that the first argument names. Prints what it found, a line of JSON.
 */
import { readFileSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { networkSchema } from '../../../src-shared/model/network.ts'
import { until } from '../../support/until.ts'
import { CARD, CARD_MAC, kernelCard, run } from './kernel-card.ts'

const inFolder = (name: string): string => path.join(process.argv[2]!, name)
const ASKED = ['subnet-mask', 'routers', 'domain-name', 'domain-name-servers', 'interface-mtu', 'ntp-servers']
const TOLD = inFolder('told')

/** Takes the address, gives it back, and notes what came. */
const SCRIPT = `#!/bin/sh
case $reason in
  BOUND | REBOOT) ip addr add $new_ip_address/24 dev $interface ;;
  RELEASE | STOP) ip addr del $old_ip_address/24 dev $interface ;;
esac
case $reason in
  BOUND | REBOOT | RENEW6) env | grep -E '^(reason|new_.*)=' > ${TOLD}.new; mv ${TOLD}.new ${TOLD} ;;
esac
exit 0
`
await writeFile(inFolder('dhclient.conf'), `request ${ASKED.join(', ')};\nsend host-name "peer";\ntimeout 30;\n`)
await writeFile(inFolder('script'), SCRIPT, { mode: 0o755 })

const reservations = [{ mac: CARD_MAC, address: '10.7.0.20' }]
const network = networkSchema.parse({
  ...{ name: 'lab', kind: 'nat', ipv4: '10.7.0.0/24', ipv6: 'fd07::/64', mtu: 9000 },
  dhcp: { leaseTime: 600, reservations },
})
const { handlers, context } = await kernelCard(network, null)

/** Ends when it has what it asks for, or has given it back. */
async function dhclient(...args: string[]): Promise<void> {
  const files = ['-cf', inFolder('dhclient.conf'), '-sf', inFolder('script'), '-lf', inFolder('leases'), '-pf', inFolder('pid')]
  await run('dhclient', '-1', ...args, ...files, CARD)
}

/** What its script heard last, of what `names` say; all of it without them. */
async function told(...names: string[]): Promise<Record<string, string>> {
  const lines = (await readFile(TOLD, 'utf8')).trim().split('\n')
  await rm(TOLD)
  const all = lines.map((line) => [line.slice(0, line.indexOf('=')).replace(/^new_/, ''), line.slice(line.indexOf('=') + 1)] as const)
  return Object.fromEntries(all.filter(([name]) => names.includes(name)))
}

const leases = async (): Promise<string[]> =>
  (await handlers.leases({ network: 'lab' }, context)).map(({ address, hostName }) => `${address} ${hostName}`)

// Where something fails it would run on.
process.on('exit', () => {
  try {
    process.kill(Number(readFileSync(inFolder('pid'), 'utf8')))
  } catch {
    // It has ended.
  }
})

const found: Record<string, unknown> = {}
await dhclient('-4')
found['bound'] = await told('reason', 'ip_address', 'dhcp_lease_time', ...ASKED.map((name) => name.replaceAll('-', '_')))
found['leased'] = await leases()
found['by name'] = await run('dig', '+short', '@10.7.0.1', 'peer.lab.internal')
// Ended without a word, it asks whether its address is still its own (RFC 2131, 3.2).
await dhclient('-4', '-x')
await dhclient('-4')
found['again'] = await told('reason', 'ip_address')
await dhclient('-4', '-r')
await until(async () => (await leases()).length === 0)
found['released'] = await leases()
await run('sh', '-c', `until ip -6 addr show dev ${CARD} scope link | grep inet6 | grep -qv tentative; do sleep 0.1; done`)
await dhclient('-6', '-S')
found['six'] = await told('reason', 'dhcp6_name_servers', 'dhcp6_domain_search')
console.log(JSON.stringify(found))
process.exit(0)
