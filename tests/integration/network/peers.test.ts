/** The services of a network with programs that others wrote: this computer's kernel, in a network namespace of its own, is the machine; Wireshark's reader checks all that passed. */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { canInNamespace, inNewNamespace } from '../../support/network-namespace.ts'
import { output, without } from '../../support/programs.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const PROGRAM = fileURLToPath(new URL('../support/network-peers.program.ts', import.meta.url))

// Where no namespace or no TAP device may be made (a container without the right), this cannot be tried.
test.skipIf(!canInNamespace('ip tuntap add dev tap0 mode tap') || without('dig', 'nmap', 'tshark', 'ping'))(
  'the kernel, dig and nmap find what is there; the scan raises an alert; no packet is malformed',
  { timeout: 120_000 },
  async () => {
    const file = path.join(await tempFolder(), 'lab.pcapng')
    expect(await inNewNamespace(PROGRAM, file)).toEqual({
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
