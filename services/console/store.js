// SPDX-License-Identifier: Apache-2.0
// A value that components can watch.
import { useEffect, useState } from "preact/hooks";

/** @template T */
export class Store {
  /** @param {T} value */
  constructor(value) {
    this.value = value;
    /** @type {Set<(value: T) => void>} */
    this.watchers = new Set();
  }

  /** @param {Partial<T>} change */
  update(change) {
    this.value = { ...this.value, ...change };
    for (const watch of [...this.watchers]) watch(this.value);
  }
}

/**
 * @template T
 * @param {Store<T>} store
 * @returns {T}
 */
export function useStore(store) {
  const [value, setValue] = useState(store.value);
  useEffect(() => {
    setValue(store.value); // it may have changed since
    store.watchers.add(setValue);
    return () => void store.watchers.delete(setValue);
  }, [store]);
  return value;
}
