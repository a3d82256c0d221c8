/**
 * Where packets to machines go. Whatever answers within the call that sends (a machine in the same process) waits until it has returned: no part of the NAT is entered while
 * it is at work.
 */
import type { IncomingPacket, IpOutput, Refusal } from '../ip-output.ts'

export class GuardedOutput implements IpOutput {
  readonly #output: IpOutput
  #inside = false

  constructor(output: IpOutput) {
    this.#output = output
  }

  get inside(): boolean {
    return this.#inside
  }

  get mtu(): number {
    return this.#output.mtu
  }

  send(header: Parameters<IpOutput['send']>[0], payload: Uint8Array, to?: number): boolean {
    this.#inside = true
    try {
      return this.#output.send(header, payload, to)
    } finally {
      this.#inside = false
    }
  }

  refuse(packet: IncomingPacket, why: Refusal): void {
    this.#inside = true
    try {
      this.#output.refuse(packet, why)
    } finally {
      this.#inside = false
    }
  }
}
