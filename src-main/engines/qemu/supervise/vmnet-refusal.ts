/** Why macOS did not join a machine to this computer's network, as people read it. Pure. Source: QEMU's net/vmnet-common.m and net/vmnet-bridged.m. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'

/** @param message QEMU's own. @returns null where it speaks of something else */
export function vmnetRefusal(message: string, technical: string): AppError | null {
  const elsewhere = 'or plug the network card into a NAT network with forwards'
  if (/cannot create vmnet interface/.test(message) && /privilege/.test(message))
    return new AppError(
      'denied',
      `macOS did not let QEMU join the machine to this Mac’s network: it lets administrators, and programs that were signed with the right com.apple.vm.networking. Install a QEMU that is signed so, have an administrator run Coppice’s host, ${elsewhere}.`,
      { technical },
    )
  const [, other] = /cannot create vmnet interface: (.*)/.exec(message) ?? []
  if (other !== undefined)
    return new AppError(
      'unavailable',
      `macOS did not join the machine to this Mac’s network (${other}). Try another card in the network’s settings, ${elsewhere}.`,
      { technical },
    )
  const [, card, cards] = /unsupported ifname '([^']*)', (?:expected one of \[ (.*?) *\]|no supported)/.exec(message) ?? []
  if (card === undefined) return null
  const there = cards === undefined ? 'There is none now.' : `There is: ${cards.split(/ +/).join(', ')}.`
  return new AppError(
    'not-found',
    `This Mac has no network card “${card}” that machines can join. ${there} Name another in the network’s settings, ${elsewhere}.`,
    { technical },
  )
}
