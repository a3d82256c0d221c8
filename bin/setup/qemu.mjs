/** QEMU and what machines on it can have, for the tests that boot guests on it. Where it is absent these tests are skipped, with their reason. */
import { existsSync } from 'node:fs'
import { ensurePackages } from './debian.mjs'
import { findProgram } from './say.mjs'

/** Debian's packages, and what shows that each is there. */
const PACKAGES = {
  'qemu-system-x86': (env) => findProgram('qemu-system-x86_64', env) !== null,
  'qemu-utils': (env) => findProgram('qemu-img', env) !== null,
  'qemu-system-arm': (env) => findProgram('qemu-system-aarch64', env) !== null,
  swtpm: (env) => findProgram('swtpm', env) !== null,
  ovmf: () => existsSync('/usr/share/OVMF/OVMF_CODE_4M.fd'),
  // The tests of shared screens look at them with it; next to nothing.
  vncsnapshot: (env) => findProgram('vncsnapshot', env) !== null,
  'qemu-efi-aarch64': () => existsSync('/usr/share/AAVMF/AAVMF_CODE.fd'),
}

/** Names of the packages that are not there. */
export function missingQemuPackages(env = process.env) {
  return Object.entries(PACKAGES).flatMap(([name, isThere]) => (isThere(env) ? [] : [name]))
}

/** On Linux only: elsewhere QEMU is no package of the system. */
export async function ensureQemu() {
  const missing = process.platform === 'linux' ? missingQemuPackages() : []
  if (missing.length > 0) await ensurePackages(missing, 'for the tests of machines on QEMU')
}
