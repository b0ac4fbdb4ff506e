; What one leg adds the other end's takes away, by way of any path, and the window stays.
; BROKEN: s/(bvsub ack seq_in)/(bvadd ack seq_in)/
(declare-const n Num) (declare-const c Num) (declare-const base Num) (declare-const offset Num)
(declare-const ack Num) (declare-const edge Num) (declare-const seq_in Num)
(define-fun seq_out () Num (bvsub base c))
(define-fun on_the_way () Num (bvadd n seq_out))
(define-fun peer_in () Num (bvsub (bvadd c offset) base))
; an acknowledgement leaves with seq_in taken away, the peer's leg takes its own seq_out away
(define-fun ack_out () Num (bvsub ack seq_in))
(define-fun edge_out () Num (bvsub edge seq_in))
(assert (not (and (= (bvadd on_the_way peer_in) (bvadd n offset))
                  (= (bvadd ack_out seq_in) ack)
                  (= (bvsub edge_out ack_out) (bvsub edge ack)))))
