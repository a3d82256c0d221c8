/** Bridged networks with this computer's own kernel, in a network namespace of its own, so that nothing of this computer's is touched. */
import { execFile, execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const PROGRAM = fileURLToPath(new URL('../support/bridged-network.program.ts', import.meta.url))
/** Its own devices are seen in its own /sys alone. */
const inNamespace = (command: string): string[] => [
  '--map-root-user',
  '--net',
  '--mount',
  'sh',
  '-c',
  `mount -t sysfs none /sys && ${command}`,
]

function canMakeDevices(): boolean {
  try {
    execFileSync('unshare', inNamespace('ip tuntap add dev tap0 mode tap && ip link add br0 type bridge'), { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

test.skipIf(!canMakeDevices())(
  'a machine reaches the host’s kernel by a bridge and by a device that was made before; what is missing is said',
  async () => {
    const { stdout } = await promisify(execFile)('unshare', inNamespace(`exec "${process.execPath}" "${PROGRAM}"`))
    expect(JSON.parse(stdout)).toEqual({
      'without a way out': 'This computer has no network card with a default route. Name the card that the network is to be joined to.',
      'a bridge': 'answers',
      joined: { problem: null, device: true },
      'a device that was made before': 'answers',
      'the device is gone': expect.stringMatching(/^The device that joined this network to the computer’s own went away\./) as string,
    })
  },
)
