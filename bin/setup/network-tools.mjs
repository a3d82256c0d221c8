/** Programs that the tests of networks are compared with. Where they are absent these tests are skipped, with their reason. */
import { ensurePackages } from './debian.mjs'
import { findProgram } from './say.mjs'

/** Debian's packages, and the program of each. */
const PACKAGES = { tshark: 'tshark', 'bind9-dnsutils': 'dig', nmap: 'nmap', curl: 'curl', 'isc-dhcp-client': 'dhclient' }

/** On Linux only, as for QEMU. */
export async function ensureNetworkTools(env = process.env) {
  const missing = Object.entries(PACKAGES).flatMap(([name, program]) => (findProgram(program, env) === null ? [name] : []))
  if (process.platform === 'linux' && missing.length > 0) await ensurePackages(missing, 'for the tests of networks')
}
