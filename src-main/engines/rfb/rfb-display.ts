/**
 * A screen that any number of viewers look at. Theory of operation: the screen is looked at only while a viewer waits for an update,
 * PACE.busy apart while something happens and PACE.calm apart otherwise, or more where a look is expensive: an idle screen costs under 2 % of a
 * core.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { asAppError, type AppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { DisplaySource } from '../engine.ts'
import { encodePng } from './png.ts'
import { RfbSession } from './rfb-session.ts'
import type { Picture, Screen } from './screen.ts'

/** ms between two looks. */
const PACE = { busy: 20, calm: 40 }
/** ms after input or a change in which the screen counts as busy. */
const BUSY_FOR = 500
/** Part of the time that looks may take while nothing happens, and otherwise. */
const IDLE_SHARE = 0.01
const BUSY_SHARE = 0.5

export class RfbDisplay implements DisplaySource, Disposable {
  #screen: Screen
  #name: string
  #sessions = new Set<RfbSession>()
  #picture: Picture | null = null
  #timer: NodeJS.Timeout | null = null
  #due = 0
  #lastLook = -Infinity
  /** ms that the last look took. */
  #cost = 0
  #busyUntil = 0
  #closed = false

  /** @param name the desktop's name in viewers */
  constructor(screen: Screen, name: string) {
    this.#screen = screen
    this.#name = name
  }

  attach(stream: ByteStream): void {
    if (this.#closed) return stream.close()
    const session: RfbSession = new RfbSession(stream, {
      name: this.#name,
      picture: () => this.#picture ?? this.#look(),
      key: (code, down) => {
        this.#screen.key(code, down)
        this.#stir()
      },
      pointer: (x, y, buttons) => {
        this.#screen.pointer(x, y, buttons)
        this.#stir()
      },
      absolute: () => this.#screen.absolute,
      move: (dx, dy, buttons) => {
        this.#screen.move(dx, dy, buttons)
        this.#stir()
      },
      wanted: () => this.#schedule(),
      closed: () => {
        this.#sessions.delete(session)
        if (this.#sessions.size === 0) this.#sleep()
      },
    })
    this.#sessions.add(session)
  }

  async screenshot(): Promise<Uint8Array<ArrayBuffer>> {
    const png = encodePng(this.#look())
    if (this.#sessions.size === 0) this.#sleep()
    return await png
  }

  /** Ends every viewer's stream, with the reason where there is one. */
  close(error?: AppError): void {
    this.#closed = true
    for (const session of this.#sessions) session.close(error)
    this.#sleep()
  }

  dispose(): void {
    this.close()
  }

  #look(): Picture {
    const before = performance.now()
    const old = this.#picture
    let changed = false
    const picture = this.#screen.look((rect) => {
      changed = true
      for (const session of this.#sessions) session.damage(rect)
    })
    this.#picture = picture
    if (old && picture !== old) {
      changed = true
      for (const session of this.#sessions) session.damage({ x: 0, y: 0, width: picture.width, height: picture.height })
    }
    const now = performance.now()
    this.#lastLook = now
    this.#cost = now - before
    if (changed) this.#busyUntil = now + BUSY_FOR
    return picture
  }

  /** Something will happen soon: look more often. */
  #stir(): void {
    this.#busyUntil = performance.now() + BUSY_FOR
    this.#schedule()
  }

  #schedule(): void {
    if (this.#closed || ![...this.#sessions].some((session) => session.wants)) return
    const now = performance.now()
    const busy = now < this.#busyUntil
    const pace = Math.max(busy ? PACE.busy : PACE.calm, this.#cost / (busy ? BUSY_SHARE : IDLE_SHARE))
    const due = this.#lastLook + pace
    if (this.#timer) {
      if (due >= this.#due) return
      clearTimeout(this.#timer)
    }
    this.#due = due
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, due - now))
  }

  #tick(): void {
    this.#timer = null
    try {
      const picture = this.#look()
      for (const session of this.#sessions) session.flush(picture)
      this.#schedule()
    } catch (error) {
      // The guest goes on without its viewers.
      for (const session of this.#sessions) session.close(asAppError(error, 'Looking at the screen'))
    }
  }

  #sleep(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#picture = null
    this.#screen.rest()
  }
}
