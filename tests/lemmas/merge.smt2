; The merged acknowledgement is never above what the peer's host has acknowledged, whatever path it
; took, and what is old and acknowledged there is acknowledged here: `offset` is the old path's.
; BROKEN: s/(ite old (not (after ack cut)) (after ack cut))/(ite old (not (after ack cut)) true)/
(declare-const cut Num) (declare-const acked Num) (declare-const real Num) (declare-const old Bool)
(declare-const offset Num)
(define-fun peers_p () Num (bvadd cut offset))
(define-fun came () Num (bvsub (ack_on peers_p old (bvadd real offset)) offset))
(define-fun merged () Num (merged_ack cut acked old came))
(assert (and (near acked cut) (near real cut) (near acked real) (not (after acked real))))
(assert (not (and (not (after merged real))
                  (not (after acked merged))
                  (=> (= old (ack_is_old cut real)) (= merged real)))))
