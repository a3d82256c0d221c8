/** All routers, as the plan says: those whose plan did not change go on undisturbed. */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import type { Clock } from '../clock.ts'
import type { Plugboard } from '../port.ts'
import type { RouterPlan } from './plan-routes.ts'
import { Router } from './router.ts'

export interface RoutersOptions {
  clock: Clock
  warn: (message: string) => void
}

export class Routers implements Disposable {
  readonly #options: RoutersOptions
  #routers = new Map<string, { key: string; boards: Plugboard[]; router: Router }>()

  constructor(options: RoutersOptions) {
    this.#options = options
  }

  /** @param board of a network; where it is another one than before, its routers are plugged in anew */
  configure(plans: readonly RouterPlan[], board: (network: string) => Plugboard): void {
    const gone = new Set(this.#routers.keys())
    for (const plan of plans) {
      gone.delete(plan.name)
      const key = JSON.stringify(plan)
      const boards = plan.interfaces.map(({ network }) => board(network))
      const before = this.#routers.get(plan.name)
      if (before?.key === key && boards.every((one, at) => one === before.boards[at])) continue
      before?.router.dispose()
      this.#routers.set(plan.name, { key, boards, router: new Router({ plan, board, ...this.#options }) })
    }
    for (const name of gone) {
      this.#routers.get(name)!.router.dispose()
      this.#routers.delete(name)
    }
  }

  dispose(): void {
    for (const { router } of this.#routers.values()) router.dispose()
    this.#routers.clear()
  }
}
