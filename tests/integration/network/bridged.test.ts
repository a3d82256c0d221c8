/** Bridged networks with this computer's own kernel, in a network namespace of its own, so that nothing of this computer's is touched. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { canInNamespace, inNewNamespace } from '../../support/network-namespace.ts'

const PROGRAM = fileURLToPath(new URL('../support/bridged-network.program.ts', import.meta.url))

test.skipIf(!canInNamespace('ip tuntap add dev tap0 mode tap && ip link add br0 type bridge'))(
  'a machine reaches the host’s kernel by a bridge and by a device that was made before; what is missing is said',
  async () => {
    expect(await inNewNamespace(PROGRAM)).toEqual({
      'without a way out': 'This computer has no network card with a default route. Name the card that the network is to be joined to.',
      'a bridge': 'answers',
      joined: { problem: null, device: true },
      'a device that was made before': 'answers',
      'the device is gone': expect.stringMatching(/^The device that joined this network to the computer’s own went away\./) as string,
    })
  },
)
