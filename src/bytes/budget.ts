/** Something that holds a peer's bytes, and counts against a budget. */
export interface BudgetMember {
  /** Lets go of all that it holds, by ending what it belongs to. */
  shed(): void;
}

/**
 * How many bytes a process holds that came from peers and that no reader has taken yet. What each peer may
 * make it hold is bounded elsewhere; this bounds the sum. When it is exceeded, the member that holds most is ended.
 */
export class ByteBudget {
  readonly #maxBytes: number;
  readonly #members = new Map<BudgetMember, number>();
  #heldBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** How many bytes are held in all. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether more than half of it is used: windows should not grow any more. */
  get isTight(): boolean {
    return this.#heldBytes > this.#maxBytes / 2;
  }

  /** A member holds so many bytes more, or fewer when negative. */
  hold(member: BudgetMember, bytes: number): void {
    const held = (this.#members.get(member) ?? 0) + bytes;
    if (held > 0) this.#members.set(member, held);
    else this.#members.delete(member);
    this.#heldBytes += bytes;
    if (bytes > 0 && this.#heldBytes > this.#maxBytes) this.#largest()?.shed();
  }

  /** A member is gone, and with it all that it held. */
  leave(member: BudgetMember): void {
    this.#heldBytes -= this.#members.get(member) ?? 0;
    this.#members.delete(member);
  }

  #largest(): BudgetMember | undefined {
    let largest: BudgetMember | undefined;
    let most = 0;
    for (const [member, held] of this.#members) {
      if (held > most) [largest, most] = [member, held];
    }
    return largest;
  }
}
