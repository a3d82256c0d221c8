/** The services of a network with programs that others wrote: this computer's kernel, in a network namespace of its own, is the machine; Wireshark's reader checks all that passed. */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { canInNamespace, inNewNamespace } from '../../support/network-namespace.ts'
import { output, without } from '../../support/programs.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const program = (name: string): string => fileURLToPath(new URL(`../support/${name}.program.ts`, import.meta.url))

/** A TAP device in a namespace. */
const CAN_TAP = canInNamespace('ip tuntap add dev tap0 mode tap')

// Where no namespace or no TAP device may be made (a container without the right), this cannot be tried.
test.skipIf(!CAN_TAP || without('dig', 'nmap', 'tshark', 'ping'))(
  'the kernel, dig and nmap find what is there; the scan raises an alert; no packet is malformed',
  { timeout: 120_000 },
  async () => {
    const file = path.join(await tempFolder(), 'lab.pcapng')
    expect(await inNewNamespace(program('network-peers'), file)).toEqual({
      ping: true,
      dig: '10.7.0.99',
      'dig by TCP': '10.7.0.99',
      'dig by IPv6': 'fd07::99',
      'dig for nobody': 'NXDOMAIN',
      'alerts before the scan': 0,
      nmap: '53/open/tcp//domain///',
      alert: { watch: 'port-scan', port: 'm/net0' },
    })
    expect((await output('tshark', ['-r', file])).split('\n').length).toBeGreaterThan(400)
    expect(await output('tshark', ['-r', file, '-Y', '_ws.malformed'])).toBe('')
  },
)

test.skipIf(!CAN_TAP || without('dhclient', 'dig'))(
  'dhclient gets a lease with all that it asks for, has the same one again, and gives it back',
  { timeout: 120_000 },
  async () => {
    expect(await inNewNamespace(program('dhclient-peer'), await tempFolder())).toEqual({
      bound: {
        reason: 'BOUND',
        ...{ ip_address: '10.7.0.20', subnet_mask: '255.255.255.0', routers: '10.7.0.1', interface_mtu: '9000' },
        ...{ domain_name: 'lab.internal', domain_name_servers: '10.7.0.1', ntp_servers: '10.7.0.1', dhcp_lease_time: '600' },
      },
      leased: ['10.7.0.20 peer'],
      'by name': '10.7.0.20',
      again: { reason: 'REBOOT', ip_address: '10.7.0.20' },
      released: [],
      six: { reason: 'RENEW6', dhcp6_name_servers: 'fd07::1', dhcp6_domain_search: 'lab.internal.' },
    })
  },
)
