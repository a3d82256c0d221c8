import { formatIp } from '../../../../src-shared/model/ip.ts'
import { ARP, ARP_BYTES, parseArp } from '../../codec/arp.ts'
import { formatMac } from '../../codec/ethernet.ts'
import type { Dissection } from './dissection.ts'

export function dissectArp(found: Dissection, at: number): void {
  const arp = parseArp(found.frame.subarray(at))
  if (!arp) {
    found.say('ARP that is cut off, or not for IPv4 over Ethernet')
    return
  }
  const [sender, target] = [formatIp(arp.senderIp), formatIp(arp.targetIp)]
  found.addresses.push(arp.senderIp, arp.targetIp)
  found.layer('ARP', at, ARP_BYTES, [
    ['Operation', arp.operation === ARP.request ? 'request (1)' : arp.operation === ARP.reply ? 'reply (2)' : arp.operation],
    ['Sender’s MAC address', formatMac(arp.senderMac)],
    ['Sender’s IP address', sender],
    ['Target’s MAC address', formatMac(arp.targetMac)],
    ['Target’s IP address', target],
  ])
  if (arp.operation === ARP.reply) found.say(`${sender} is at ${formatMac(arp.senderMac)}`)
  else if (arp.operation !== ARP.request) found.say(`Operation ${arp.operation}`)
  else if (sender === target) found.say(`${sender} is at ${formatMac(arp.senderMac)} (told unasked)`)
  else if (sender === '0.0.0.0') found.say(`Does anybody have ${target}?`)
  else found.say(`Who has ${target}? Tell ${sender}`)
}
