; On the old path at most p, on the new one at least p; never above what the host said, unless it is p.
; BROKEN: s/(ack_is_old p ack) old) ack p)/(ack_is_old p ack) old) ack (bvadd p #x00000001))/
(declare-const p Num) (declare-const ack Num)
(assert (near ack p))
(define-fun on_old () Num (ack_on p true ack))
(define-fun on_new () Num (ack_on p false ack))
(assert (not (and (not (after on_old p)) (not (after p on_new))
                  (not (after on_old ack))
                  (=> (after on_new ack) (= on_new p))
                  (or (= on_old ack) (= on_new ack)))))
